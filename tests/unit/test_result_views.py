"""A result as arrays, Arrow, pandas and supervision."""

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from framefuse.client import depth_values, object_arrays, to_arrow, to_pandas, to_supervision
from framefuse.errors import BadInput, UnreadableImage
from framefuse.pictures.decoding import encode_map
from schemas.records import DepthKind, Stabilisation
from tests.parts.results import a_fused, an_expired
from tests.unit.builders import a_map


def test_depth_comes_as_float32_with_its_unit_and_holes_are_nan() -> None:
    values = np.array([[1.0, 2.5], [np.nan, 40.0]], np.float32)

    found = depth_values(a_fused(0, depth_map=a_map(values)))

    assert found is not None
    assert (found.values.dtype.name, found.unit, found.kind) == ("float32", "m", DepthKind.METRIC)
    np.testing.assert_allclose(found.values, values, atol=0.001)


def test_relative_depth_has_no_unit() -> None:
    relative = encode_map(np.ones((2, 2), np.float32), DepthKind.RELATIVE_INVERSE, "")
    found = depth_values(a_fused(0, depth_map=relative))
    assert found is not None
    assert (found.unit, found.kind) == ("", DepthKind.RELATIVE_INVERSE)


def test_stabilised_depth_comes_with_the_models_own_values_on_request() -> None:
    values = np.array([[0.5, 1.0], [1.5, np.nan]], np.float32)
    relative = encode_map(values, DepthKind.RELATIVE_INVERSE, "")
    as_given = depth_values(a_fused(0, depth_map=relative))
    stabilised = depth_values(a_fused(0, depth_map=replace(relative, stabilised=Stabilisation(2.0, 0.5, 0))))

    assert as_given is not None
    assert stabilised is not None
    np.testing.assert_array_equal(as_given.own(), as_given.values)
    np.testing.assert_array_equal(stabilised.values, as_given.values)
    np.testing.assert_allclose(stabilised.own(), [[0.0, 0.25], [0.5, np.nan]], atol=1e-4)


def test_a_result_without_a_map_has_no_depth() -> None:
    assert depth_values(an_expired(0)) is None


def test_a_broken_map_is_an_error_and_not_a_picture() -> None:
    broken = replace(a_map(np.ones((2, 2), np.float32)), data=b"\x89PNG")
    with pytest.raises(UnreadableImage):
        depth_values(a_fused(0, depth_map=broken))


def test_objects_come_as_arrays_of_one_row_each() -> None:
    crate, ball = (fused := a_fused(0)).objects
    found = object_arrays(replace(fused, objects=(crate, replace(ball, depth=None))))

    assert found.xyxy.tolist() == [[1.0, 2.0, 30.0, 40.5]] * 2
    assert found.label.tolist() == ["crate", "ball"]
    assert (found.class_id.tolist(), found.score.tolist()) == ([0, 1], [0.5, 0.5])
    assert found.depth[0] == 2.5
    assert np.isnan(found.depth[1])


def test_without_objects_the_arrays_are_empty_and_keep_their_shape() -> None:
    found = object_arrays(an_expired(0))
    assert found.xyxy.shape == (0, 4)
    assert {part.shape[0] for part in found} == {0}


def test_a_batch_is_a_table_of_one_row_each() -> None:
    table = to_arrow([a_fused(0), an_expired(1)])
    assert table.column("sequence").to_pylist() == [0, 1]
    assert table.column("outcome").to_pylist() == ["FUSED", "EXPIRED"]
    assert table.column("map_data").null_count == 1
    assert to_arrow([]).num_rows == 0


def test_a_batch_is_a_data_frame_that_pandas_can_group() -> None:
    frame = to_pandas([a_fused(0), a_fused(1), an_expired(2)])
    assert frame.groupby("outcome").size().to_dict() == {"FUSED": 2, "EXPIRED": 1}
    assert frame.objects[0][0]["depth"]["median"] == 2.5
    assert str(frame.captured_at.dtype).endswith("UTC]")


def test_supervision_gets_boxes_with_class_names_and_depth() -> None:
    sv = pytest.importorskip("supervision", reason="supervision is not one of our dependencies")
    found = to_supervision(a_fused(7))
    assert isinstance(found, sv.Detections)
    assert found.xyxy.tolist() == [[1.0, 2.0, 30.0, 40.5]] * 2
    assert found[found["class_name"] == "ball"].class_id.tolist() == [1]
    assert found["depth"].tolist() == [2.5, 2.5]
    assert found.metadata == {"depth_unit": "m", "stream_id": "gate", "sequence": 7}
    assert to_supervision(an_expired(0)).is_empty()


@pytest.mark.skipif(find_spec("supervision") is not None, reason="supervision is installed")
def test_without_supervision_one_is_told_how_to_get_it() -> None:
    with pytest.raises(BadInput, match=r"pip install .*supervision"):
        to_supervision(a_fused(0))


def test_the_client_imports_neither_pandas_nor_arrow_before_they_are_asked_for() -> None:
    script = "import sys, framefuse.client; sys.exit(any(m in sys.modules for m in ('pandas', 'pyarrow')))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
