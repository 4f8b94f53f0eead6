"""How wrong a depth map is, in the words of the field: AbsRel and delta 1."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FARTHEST_M = 60.0
_FEWEST = 200


@dataclass(frozen=True, slots=True)
class DepthErrors:
    """Mean of |predicted - true| / true over pixels nearer than 60 m, nan where too few.

    `raw` as predicted; `scaled` after the median ratio; `solid` likewise over objects and clutter
    alone; `within` the share of pixels less than 25 % off; `scale` the median ratio true / predicted;
    `sky` the share of true sky that is predicted beyond 40 m.
    """

    raw: float
    scaled: float
    solid: float
    within: float
    scale: float
    sky: float


def depth_errors(
    metres: NDArray[np.floating], nearness: NDArray[np.floating], solid: NDArray[np.bool_]
) -> DepthErrors:
    """Compare a predicted map in metres with the truth; all H×W.

    Args:
        metres: the prediction.
        nearness: one over true metres; 0 is sky, -1 is no picture.
        solid: objects and clutter.
    """
    valid = nearness > 1 / FARTHEST_M
    truth, predicted = 1 / nearness[valid], metres[valid]
    scale = float(np.median(truth / predicted))
    relative = np.abs(predicted * scale - truth) / truth
    ratio = np.maximum(predicted * scale / truth, truth / (predicted * scale))
    on_solid = solid[valid]
    sky = metres[nearness == 0] > 40
    return DepthErrors(
        raw=float((np.abs(predicted - truth) / truth).mean()),
        scaled=float(relative.mean()),
        solid=float(relative[on_solid].mean()) if on_solid.sum() >= _FEWEST else float("nan"),
        within=float((ratio < 1.25).mean()),
        scale=scale,
        sky=float(sky.mean()) if sky.size >= _FEWEST else float("nan"),
    )
