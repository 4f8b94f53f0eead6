"""What the depth net learns from: logarithm of metres, shape at several scales, and where the sky is."""

import math

import torch
from torch import Tensor

from training.nets import FAR_M, NEAR_M

_SOLID_WEIGHT = 3.0
_SCALES = (1, 2, 4)


def depth_loss(log_metres: Tensor, nearness: Tensor, solid: Tensor) -> dict[str, Tensor]:
    """Loss of a batch.

    Args:
        log_metres: B×H×W prediction.
        nearness: B×H×W one over metres; 0 where there is sky, -1 where there is no picture.
        solid: B×H×W bool, objects and clutter: they count more than the ground.

    Returns:
        Scalars `total`, `level` (error), `shape` (error of differences between neighbours), `sky`.
    """
    far = (nearness >= 0) & (nearness <= 1 / FAR_M)
    near = (nearness > 1 / FAR_M).float()
    truth = -torch.log(nearness.clamp(min=1 / FAR_M, max=1 / NEAR_M))
    error = log_metres - truth
    weight = near * (1 + (_SOLID_WEIGHT - 1) * solid.float())
    total = weight.sum((1, 2)).clamp(min=1.0)
    mean = ((error * weight).sum((1, 2)) / total)[:, None, None]
    level = ((0.6 * (error - mean).abs() + 0.4 * error.abs()) * weight).sum((1, 2)) / total
    short = math.log(FAR_M) - log_metres
    sky = (short.abs() * far).sum((1, 2)) / (far.sum((1, 2)) + 1000.0)
    shape = sum((_differences(error[:, ::s, ::s], weight[:, ::s, ::s]) for s in _SCALES), torch.zeros(()))
    return {
        "total": level.mean() + 0.5 * sky.mean() + 0.7 * shape,
        "level": level.mean(),
        "shape": shape,
        "sky": sky.mean(),
    }


def _differences(error: Tensor, weight: Tensor) -> Tensor:
    across = torch.minimum(weight[:, :, 1:], weight[:, :, :-1])
    along = torch.minimum(weight[:, 1:], weight[:, :-1])
    steps_across = ((error[:, :, 1:] - error[:, :, :-1]).abs() * across).sum()
    steps_along = ((error[:, 1:] - error[:, :-1]).abs() * along).sum()
    return (steps_across + steps_along) / (weight.sum() + 1)
