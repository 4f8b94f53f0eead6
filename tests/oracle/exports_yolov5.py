"""A detector with the head of YOLOv5's own repository, on a few layers, and what it finds there.

Written after its `models/yolo.py` and `utils/general.py` (7.0), whose package does not run beside ours.
"""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from framefuse.pictures.decoding import decode
from tests.oracle.boxes import Found
from tests.oracle.seeing import SIZE, a_texture, as_input

if TYPE_CHECKING:
    from torch import Tensor

CLASSES = 7
_ANCHORS = (
    (8, ((10, 13), (16, 30), (33, 23))),
    (16, ((30, 61), (62, 45), (59, 119))),
    (32, ((116, 90), (156, 198), (373, 326))),
)
"""Widths and heights in pixels, by the stride of their grid."""
_MOST_APART = 7680
"""Pixels by which one class is moved off the next."""
_MEANS, _REACH = [0.0] * 4 + [-0.5] + [-1.0] * CLASSES, 2.0
"""Of the logits of a box, and how far they go from there on one picture."""


def export(path: Path) -> Path:
    """Write one of random, seeded weights as an ONNX file that names its classes."""
    import torch
    from torch import nn

    torch.manual_seed(7)

    class Classic(nn.Module):  # type: ignore[misc]  # torch has no types here
        """Three grids, three boxes a cell."""

        def __init__(self) -> None:
            super().__init__()
            sizes = [3, 8, 16, 24, 32, 48]
            self.steps = nn.ModuleList(
                nn.Sequential(nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.SiLU())
                for before, after in pairwise(sizes)
            )
            self.heads = nn.ModuleList(nn.Conv2d(size, 3 * (5 + CLASSES), 1) for size in sizes[3:])

        def features(self, pictures: "Tensor") -> "list[Tensor]":
            found = []
            for step in self.steps:
                pictures = step(pictures)
                found.append(pictures)
            return found[2:]

        def forward(self, pictures: "Tensor") -> "Tensor":
            found = []
            for (stride, anchors), head, seen in zip(
                _ANCHORS, self.heads, self.features(pictures), strict=True
            ):
                high, wide = seen.shape[2:]
                raw = head(seen).view(1, 3, 5 + CLASSES, high, wide).permute(0, 1, 3, 4, 2).sigmoid()
                y, x = torch.meshgrid(torch.arange(high), torch.arange(wide), indexing="ij")
                centre = (raw[..., :2] * 2 - 0.5 + torch.stack((x, y), 2)) * stride
                side = (raw[..., 2:4] * 2) ** 2 * torch.tensor(anchors).view(1, 3, 1, 1, 2)
                found.append(torch.cat((centre, side, raw[..., 4:]), 4).view(1, -1, 5 + CLASSES))
            return torch.cat(found, 1)

    model = Classic()
    picture = torch.from_numpy(as_input(a_texture(SIZE, SIZE, seed=1)))
    with torch.no_grad():
        model.train()(picture)  # so that the layers know the spread of what passes them
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = 1.0
        model(picture)
        for head, seen in zip(model.heads, model.eval().features(picture), strict=True):
            head.weight.normal_()
            values = nn.functional.conv2d(seen, head.weight).flatten(2)[0]
            middle = values.mean(dim=1)
            gain = _REACH / (values - middle[:, None]).abs().amax(dim=1)
            head.weight.mul_(gain[:, None, None, None])
            head.bias.copy_(torch.tensor(_MEANS * 3) - gain * middle)
    names = {"input_names": ["images"], "output_names": ["output0"]}
    torch.onnx.export(model, (picture,), str(path), **names, opset_version=17, dynamo=False)
    written = onnx.load(path)
    onnx.helper.set_model_props(written, {"names": str([f"thing {k}" for k in range(CLASSES)])})
    onnx.save(written, path)
    return path


def predict(session: Any, picture: Path) -> list[Found]:  # noqa: ANN401 - ONNX Runtime has no types here
    """What YOLOv5 finds with such a file at its usual thresholds but an overlap of 0.7.

    Scaled back as Ultralytics 8 does, by whole pixels of the border: YOLOv5 forgets that they were rounded.
    """
    import torch
    from torchvision.ops import box_convert, nms
    from ultralytics.data.augment import LetterBox
    from ultralytics.utils.ops import scale_boxes

    shown = decode(picture.read_bytes())
    canvas = LetterBox((SIZE, SIZE), auto=False, stride=32)(image=shown)
    pictures = np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1))[None].astype(np.float32) / 255
    rows = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: pictures})[0])[0]
    rows = rows[rows[:, 4] > 0.25]
    scores, classes = (rows[:, 5:] * rows[:, 4:5]).max(dim=1)
    boxes = box_convert(rows[:, :4], "cxcywh", "xyxy")
    rows = scores > 0.25
    boxes, scores, classes = boxes[rows], scores[rows], classes[rows]
    kept = nms(boxes + classes[:, None] * _MOST_APART, scores, 0.7)[:300]
    corners = scale_boxes((SIZE, SIZE), boxes[kept], shown.shape)
    each = zip(classes[kept].tolist(), scores[kept].tolist(), corners.tolist(), strict=True)
    return [Found(*one) for one in each]
