"""Nets, losses and the training loop; needs the extra `training`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with the extra 'training'")

from torch import Tensor, nn  # noqa: E402

from training.depth_loss import depth_loss  # noqa: E402
from training.detector_loss import Targets, corners_of, detector_loss, overlap  # noqa: E402
from training.fit import Budget, Fit  # noqa: E402
from training.nets import FAR_M, DepthNet, Detector  # noqa: E402

BOX = torch.tensor([60.0, 40, 124, 104])


def targets(*, ignored: bool = False) -> Targets:
    return Targets(
        corners=BOX[None, None],
        classes=torch.zeros(1, 1, dtype=torch.long),
        counted=torch.tensor([[not ignored]]),
        ignored=torch.tensor([[ignored]]),
    )


def test_the_detector_gives_boxes_and_scores_per_place() -> None:
    net = Detector(6, 192, 320).eval()
    output = net(torch.zeros(2, 3, 192, 320))
    assert output.shape == (2, 10, 1260)
    assert ((output[:, 4:] >= 0) & (output[:, 4:] <= 1)).all()
    assert (output[:, 2:4] > 0).all()


def test_the_depth_net_gives_metres_for_every_pixel() -> None:
    depth = DepthNet().eval()(torch.rand(1, 3, 96, 160))
    assert depth.shape == (1, 1, 96, 160)
    assert ((depth >= 1) & (depth <= FAR_M)).all()


def test_boxes_overlap_wholly_partly_and_not_at_all() -> None:
    others = torch.stack([BOX, BOX + 32, BOX + 1000])
    plain, general = overlap(BOX.expand(3, 4), others)
    assert plain.tolist() == pytest.approx([1, 1 / 7, 0], abs=1e-3)
    assert general[2] < -0.9
    assert corners_of(torch.tensor([92.0, 72, 64, 64])).tolist() == BOX.tolist()


def test_a_right_answer_costs_less_than_a_wrong_one() -> None:
    net = Detector(6, 192, 320)
    size = torch.tensor([64.0, 64.0])
    right = torch.cat([torch.tensor([92.0, 72.0]).expand(1260, 2), size.expand(1260, 2)], 1)[None]
    logits = torch.full((1, 1260, 6), -6.0)
    near = ((net.centres - torch.tensor([92.0, 72.0])).abs() < 8).all(1)
    sure = logits.clone()
    sure[0, near, 0] = 4.0
    best = detector_loss(sure, right, net.centres, targets())
    off = detector_loss(sure, right + 20, net.centres, targets())
    unsure = detector_loss(logits, right, net.centres, targets())
    assert best["box"] < 1e-3
    assert off["box"] > best["box"]
    assert unsure["class"] > best["class"]


def test_an_ignored_object_costs_nothing_either_way() -> None:
    net = Detector(6, 192, 320)
    boxes = torch.cat([net.centres, torch.full((1260, 2), 20.0)], 1)[None]
    inside = ((net.centres > BOX[:2]) & (net.centres < BOX[2:])).all(1)
    logits = torch.full((1, 1260, 6), -20.0)
    logits[0, inside, 0] = 5.0
    assert detector_loss(logits, boxes, net.centres, targets(ignored=True))["total"] < 1e-3
    assert detector_loss(logits, boxes, net.centres, targets())["total"] > 0.1


def test_true_depth_costs_nothing_and_padding_never_does() -> None:
    nearness = torch.full((1, 32, 32), 0.1)
    nearness[:, :8], nearness[:, 24:] = 0.0, -1.0
    solid = torch.zeros(1, 32, 32, dtype=torch.bool)
    truth = -torch.log(nearness.clamp(min=1 / FAR_M))
    guess = truth.clone()
    guess[:, 24:] = 0.5
    assert depth_loss(guess, nearness, solid)["total"] == pytest.approx(0, abs=1e-6)
    assert depth_loss(truth - 0.2 * (nearness == 0), nearness, solid)["sky"] > 0
    assert depth_loss(truth + 0.3, nearness, solid)["level"] > 0.1


class OneLine:
    """The smallest task: learn a colour."""

    name = "one-line"

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.samples = 800
        self.net = nn.Conv2d(3, 1, 1)
        self.seen: list[list[int]] = []

    def predict(self, net: nn.Module, pictures: Tensor) -> tuple[Tensor, ...]:
        return (net(pictures),)

    def sample(self, indices: Sequence[int], random: np.random.Generator) -> tuple[Tensor, object]:
        self.seen.append(list(indices))
        return torch.from_numpy(random.random((8, 3, 4, 4), np.float32)), None

    def loss(self, outputs: tuple[Tensor, ...], truth: object) -> dict[str, Tensor]:
        return {"total": ((outputs[0].float() - 0.3) ** 2).mean()}

    def score(self, net: nn.Module) -> dict[str, float]:
        return {"weight": float(net.weight.detach().abs().mean())}


def test_a_training_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    begun, resumed = OneLine(), OneLine()
    first = Fit(begun, tmp_path, Budget(core_minutes=0.003))
    first.run()
    second = Fit(resumed, tmp_path, Budget(core_minutes=0.006))
    second.run()
    assert 0 < first.iteration < second.iteration
    assert len(resumed.seen) == second.iteration - first.iteration
    assert second.clock.core_s > first.clock.core_s
    seen = [index for batch in (begun.seen + resumed.seen)[:100] for index in batch]
    assert len(set(seen)) == len(seen)  # one epoch, no scene twice, across the stop
