"""What the detector learns from: task-aligned assignment, soft class targets, box overlap.

Shapes: B pictures, N places of the output grid, C classes, M objects of the fullest picture.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_MOST_PLACES = 9
_BOX_WEIGHT = 2.5
_SMALLEST_REACH_PX = 6.0


@dataclass(frozen=True, slots=True)
class Targets:
    """`corners` B×M×4 pixels, `classes` B×M, `counted` and `ignored` B×M bool (neither: no object)."""

    corners: Tensor
    classes: Tensor
    counted: Tensor
    ignored: Tensor


@dataclass(frozen=True, slots=True)
class _Assigned:
    """Per place: its object, how much it should say so (0 to 1), and whether it is left out."""

    object_index: Tensor
    weight: Tensor
    left_out: Tensor


def corners_of(boxes: Tensor) -> Tensor:
    """Centre and size to corners, …×4."""
    half = boxes[..., 2:] / 2
    return torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], -1)


def overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union of corner boxes, plain and generalised."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    shared = (high - low).clamp(0).prod(-1)
    union = _area(a) + _area(b) - shared + 1e-6
    iou = shared / union
    hull_low, hull_high = torch.minimum(a[..., :2], b[..., :2]), torch.maximum(a[..., 2:], b[..., 2:])
    hull = (hull_high - hull_low).clamp(0).prod(-1) + 1e-6
    return iou, iou - (hull - union) / hull


def _area(corners: Tensor) -> Tensor:
    return (corners[..., 2:] - corners[..., :2]).clamp(0).prod(-1)


def detector_loss(logits: Tensor, boxes: Tensor, centres: Tensor, targets: Targets) -> dict[str, Tensor]:
    """Class and box loss of a batch.

    Args:
        logits: B×N×C class logits.
        boxes: B×N×4 centre and size in pixels.
        centres: N×2 pixels, the middle of each place.
        targets: the truth.

    Returns:
        Scalars `total`, `class`, `box`.
    """
    corners = corners_of(boxes)
    assigned = _assign(logits.detach(), corners.detach(), centres, targets)
    chosen = assigned.weight > 0
    wanted = torch.zeros_like(logits)
    classes = torch.gather(targets.classes, 1, assigned.object_index)
    wanted.scatter_(2, classes[..., None], assigned.weight[..., None])
    norm = wanted.sum().clamp(min=1.0)
    class_loss = _class_loss(logits, wanted, assigned.left_out) / norm
    true_corners = torch.gather(targets.corners, 1, assigned.object_index[..., None].expand(-1, -1, 4))[
        chosen
    ]
    _, general = overlap(corners[chosen], true_corners)
    box_loss = ((1 - general) * assigned.weight[chosen]).sum() / norm
    return {"total": class_loss + _BOX_WEIGHT * box_loss, "class": class_loss, "box": box_loss}


def _class_loss(logits: Tensor, wanted: Tensor, left_out: Tensor) -> Tensor:
    """Cross entropy with soft targets; easy empty places count little."""
    focus = torch.where(wanted > 0, torch.ones_like(wanted), 0.75 * logits.detach().sigmoid() ** 1.5)
    loss = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (loss * focus * ~left_out[..., None]).sum()


def _assign(logits: Tensor, corners: Tensor, centres: Tensor, targets: Targets) -> _Assigned:
    """Give each object the places that already see it best; each place one object."""
    iou, _ = overlap(targets.corners[:, :, None], corners[:, None])
    places = corners.shape[1]
    scores = logits.sigmoid().transpose(1, 2)
    score = torch.gather(scores, 1, targets.classes[:, :, None].expand(-1, -1, places))
    middle = (targets.corners[..., :2] + targets.corners[..., 2:]) / 2
    reach = ((targets.corners[..., 2:] - targets.corners[..., :2]) / 2).clamp(min=_SMALLEST_REACH_PX)
    inside = ((centres[None, None] - middle[:, :, None]).abs() < reach[:, :, None]).all(-1)
    allowed = inside & targets.counted[:, :, None]
    fit = (score.sqrt() * iou**4 + 1e-9) * allowed
    best, at = fit.topk(_MOST_PLACES, -1)
    taken = torch.zeros_like(fit).scatter_(-1, at, (best > 0).float())
    claim = torch.zeros_like(taken).scatter_(1, (iou * taken + taken).argmax(1, keepdim=True), 1.0)
    taken = taken * claim
    fit = fit * taken
    strength = fit / (fit.amax(-1, keepdim=True) + 1e-12)
    weight = strength * (iou * taken).amax(-1, keepdim=True).clamp(min=0.05) * taken
    best_weight, object_index = weight.max(1)
    left_out = (inside & targets.ignored[:, :, None]).any(1) & (best_weight <= 0)
    return _Assigned(object_index, best_weight, left_out)
