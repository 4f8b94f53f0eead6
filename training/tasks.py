"""The two things to learn, behind one interface: a net, a batch, a loss, a score."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from producers.synthetic import LABELS
from training.depth_loss import depth_loss
from training.detections import keep_best
from training.detector_loss import Targets, detector_loss
from training.measures import depth_errors
from training.nets import DepthNet, Detector
from training.referee import judge
from training.samples import Boxes, Picture, Random, Shards, depth_sample, detection_sample
from training.shards import CALIBRATION, HEIGHT, TRAIN, WIDTH

Losses = dict[str, Tensor]
SCORED = 200


class Task(Protocol):
    """One net and how it learns."""

    name: str
    net: nn.Module
    samples: int
    """Scenes of an epoch."""

    def predict(self, net: nn.Module, pictures: Tensor) -> tuple[Tensor, ...]:
        """The part of the net that may be compiled: pictures to raw outputs."""

    def sample(self, indices: Sequence[int], random: Random) -> tuple[Tensor, object]:
        """Pictures and truth of a batch."""

    def loss(self, outputs: tuple[Tensor, ...], truth: object) -> Losses:
        """Scalars, `total` among them."""

    def score(self, net: nn.Module) -> dict[str, float]:
        """How good a net is on the calibration scenes."""


def to_pictures(images: Sequence[Picture]) -> Tensor:
    """H×W×3 BGR eight-bit pictures as one B×3×H×W float tensor, red first, 0 to 1."""
    stacked = torch.from_numpy(np.stack([image[..., ::-1] for image in images]))
    return stacked.permute(0, 3, 1, 2).float().div_(255).contiguous(memory_format=torch.channels_last)


class DetectorTask:
    """Boxes and labels."""

    name = "demo-detector"

    def __init__(self, data: Path) -> None:
        self.net: nn.Module = Detector(len(LABELS), HEIGHT, WIDTH)
        self._shards, self._held_out = Shards(data, TRAIN), Shards(data, CALIBRATION)
        self.samples = len(self._shards)

    def predict(self, net: nn.Module, pictures: Tensor) -> tuple[Tensor, ...]:
        """Logits and codes."""
        outputs: tuple[Tensor, Tensor] = net.raw(pictures)
        return outputs

    def sample(self, indices: Sequence[int], random: Random) -> tuple[Tensor, Targets]:
        """Pictures, and their boxes padded to the fullest."""
        drawn = [detection_sample(self._shards, index, random) for index in indices]
        return to_pictures([image for image, _ in drawn]), _pad([boxes for _, boxes in drawn])

    def loss(self, outputs: tuple[Tensor, ...], truth: object) -> Losses:
        """See `detector_loss`."""
        assert isinstance(truth, Targets)  # noqa: S101
        logits, codes = outputs
        return detector_loss(logits, self.net.boxes(codes), self.net.centres, truth)

    def score(self, net: nn.Module) -> dict[str, float]:
        """mAP50 and mAP50-95."""
        found = [
            keep_best(output.numpy(), (WIDTH, HEIGHT))
            for output in _outputs(net, [self._held_out.image(i) for i in range(SCORED)])
        ]
        truths = [self._held_out.objects(index) for index in range(SCORED)]
        verdict = judge(found, truths, min_side_px=6)
        return {"map50": verdict.at_50, "map50_95": verdict.at_50_95}


class DepthTask:
    """Metres per pixel."""

    name = "demo-depth"

    def __init__(self, data: Path) -> None:
        self.net: nn.Module = DepthNet()
        self._shards, self._held_out = Shards(data, TRAIN), Shards(data, CALIBRATION)
        self.samples = len(self._shards)

    def predict(self, net: nn.Module, pictures: Tensor) -> tuple[Tensor, ...]:
        """Logarithm of metres at half the size."""
        output: Tensor = net.log_metres(pictures)
        return (output,)

    def sample(self, indices: Sequence[int], random: Random) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Pictures, and at half their size nearness and solid mask, each time of another pixel in four."""
        drawn = [depth_sample(self._shards, index, random) for index in indices]
        row, column = (int(start) for start in random.integers(0, 2, 2))
        nearness = torch.from_numpy(np.stack([sample.nearness[row::2, column::2] for sample in drawn]))
        solid = torch.from_numpy(np.stack([sample.solid[row::2, column::2] for sample in drawn]))
        return to_pictures([sample.image for sample in drawn]), (nearness, solid)

    def loss(self, outputs: tuple[Tensor, ...], truth: object) -> Losses:
        """See `depth_loss`."""
        assert isinstance(truth, tuple)  # noqa: S101
        nearness, solid = truth
        return depth_loss(outputs[0].float()[:, 0], nearness, solid)

    def score(self, net: nn.Module) -> dict[str, float]:
        """Relative errors, raw and after median scale."""
        outputs = _outputs(net, [self._held_out.image(i) for i in range(SCORED)])
        errors = [
            depth_errors(output[0].numpy(), self._held_out.nearness(i), self._held_out.solid(i))
            for i, output in enumerate(outputs)
        ]
        means = np.nanmean([(e.scaled, e.raw, e.solid) for e in errors], axis=0)
        return dict(zip(("absrel", "absrel_raw", "absrel_solid"), map(float, means), strict=True))


def _outputs(net: nn.Module, images: Sequence[Picture]) -> list[Tensor]:
    net.eval()
    outputs: list[Tensor] = []
    with torch.no_grad():
        for first in range(0, len(images), 20):
            outputs += list(net(to_pictures(images[first : first + 20])))
    return outputs


def _pad(drawn: Sequence[Boxes]) -> Targets:
    most = max(1, *(len(boxes.classes) for boxes in drawn))

    def padded(values: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        missing = [0, 0] * (tensor.ndim - 1) + [0, most - len(tensor)]
        return functional.pad(tensor, missing)

    return Targets(
        corners=torch.stack([padded(boxes.corners) for boxes in drawn]),
        classes=torch.stack([padded(boxes.classes) for boxes in drawn]),
        counted=torch.stack([padded(~boxes.ignored) for boxes in drawn]),
        ignored=torch.stack([padded(boxes.ignored) for boxes in drawn]),
    )
