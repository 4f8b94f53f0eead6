"""A result in the forms that other libraries work with: arrays, Arrow, pandas, supervision.

Pure. What only some users have (pandas, supervision) is imported when it is asked for.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from framefuse.errors import BadInput
from framefuse.installing import install
from framefuse.pictures.decoding import Values, decode_map
from schemas.records import DepthKind, Fused, Stabilisation

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class DepthValues(NamedTuple):
    """A depth map as numbers."""

    values: Values
    """h×w float32 at the model's resolution, NaN where there is no value; it covers the whole frame."""
    unit: str
    """`m` for metres; empty where the values are relative."""
    kind: DepthKind
    """METRIC: distances. RELATIVE_INVERSE: larger is nearer."""
    stabilised: Stabilisation | None = None
    """How relative values were brought to one scale over time; None where they are the model's own."""

    def own(self) -> Values:
        """The model's own values, whether they were stabilised or not."""
        if self.stabilised is None:
            return self.values
        return (self.values - np.float32(self.stabilised.shift)) / np.float32(self.stabilised.scale)


class ObjectArrays(NamedTuple):
    """The n objects of a result, one row each, in the order of `Fused.objects`."""

    xyxy: npt.NDArray[np.float32]
    """n×4: x_min, y_min, x_max, y_max in pixels of the frame."""
    score: npt.NDArray[np.float32]
    """n, in 0..1."""
    class_id: npt.NDArray[np.int64]
    """n."""
    label: npt.NDArray[np.str_]
    """n."""
    depth: npt.NDArray[np.float32]
    """n: median over the box in the unit of the map, NaN where nothing is known."""


def depth_values(fused: Fused) -> DepthValues | None:
    """The depth map of a result as numbers; None where it has none (see its `missing`).

    Raises:
        UnreadableImage: the map's data is broken.
    """
    if fused.map is None:
        return None
    return DepthValues(decode_map(fused.map), fused.map.unit, fused.map.kind, fused.map.stabilised)


def object_arrays(fused: Fused) -> ObjectArrays:
    """The objects of a result as arrays; all of length 0 where it has none."""
    found = fused.objects
    corners = [(one.box.x_min, one.box.y_min, one.box.x_max, one.box.y_max) for one in found]
    return ObjectArrays(
        xyxy=np.array(corners, np.float32).reshape(-1, 4),
        score=np.array([one.score for one in found], np.float32),
        class_id=np.array([one.class_id for one in found], np.int64),
        label=np.array([one.label for one in found], np.str_),
        depth=np.array([one.depth.median if one.depth else np.nan for one in found], np.float32),
    )


def to_arrow(results: Sequence[Fused]) -> "pa.Table":
    """Results as an Arrow table, one row each, with the columns of the Parquet files of `object-store`."""
    from framefuse.results.columns import table_of

    return table_of(results)


def to_pandas(results: Sequence[Fused]) -> "pd.DataFrame":
    """Results as a pandas DataFrame, one row each; `objects`, `frame` and such hold lists and dicts.

    Raises:
        BadInput: pandas is not installed.
    """
    if find_spec("pandas") is None:
        raise BadInput(f"to_pandas needs pandas: {install('pandas')}")
    frame: pd.DataFrame = to_arrow(results).to_pandas()
    return frame


def to_supervision(fused: Fused) -> Any:  # noqa: ANN401  (supervision may be absent)
    """The objects of a result as `supervision.Detections`.

    `data` has `class_name` and `depth` (float32, NaN where unknown); `metadata` has `depth_unit`, `stream_id`
    and `sequence`.

    Raises:
        BadInput: supervision is not installed.
    """
    try:
        import supervision as sv
    except ImportError:
        raise BadInput(f"to_supervision needs supervision: {install('supervision')}") from None
    found = object_arrays(fused)
    return sv.Detections(
        xyxy=found.xyxy,
        confidence=found.score,
        class_id=found.class_id,
        data={"class_name": found.label, "depth": found.depth},
        metadata={
            "depth_unit": fused.map.unit if fused.map else "",
            "stream_id": fused.stream_id,
            "sequence": fused.sequence,
        },
    )
