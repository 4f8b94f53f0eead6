"""Pictures for the model card: the worst cases, and the curves of a training.

`python -m training.pictures` writes both beside the card. Needs the extra `training`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from producers.synthetic import LABELS
from training.detections import Rows, keep_best, overlaps
from training.measures import depth_errors
from training.onnx_files import DEPTH, DETECTOR, TimedModel
from training.shards import HEIGHT, TEST, WIDTH, Scene, draw

Picture = NDArray[np.uint8]
CARD_IMAGES = Path(__file__).parent / "images"
CASES = 10
_GREEN, _RED, _YELLOW = (80, 220, 80), (60, 60, 240), (0, 220, 255)
_MIN_SIDE_PX, _MIN_VISIBLE, _RIGHT_IOU = 6.0, 0.3, 0.5


@dataclass(frozen=True, slots=True)
class Case:
    """A held-out scene with what the models said; `mistakes` counts missed and invented objects."""

    seed: int
    scene: Scene
    found: Rows
    metres: Rows
    mistakes: int
    absrel: float

    @property
    def badness(self) -> float:
        """One bad object weighs as much as 10 % of depth error."""
        return self.mistakes + 10 * self.absrel


def worst_cases(scenes: int) -> list[Case]:
    """The worst of the first held-out scenes, worst first."""
    detector, depth = TimedModel(DETECTOR), TimedModel(DEPTH)
    worst: list[Case] = []
    for seed in track(range(TEST.first_seed, TEST.first_seed + scenes), "looking for the worst"):
        scene = draw(seed, plain=True)
        found = keep_best(detector.run(scene.image), (WIDTH, HEIGHT), lowest=detector.confidence)
        metres = depth.run(scene.image)[0]
        absrel = depth_errors(metres, scene.nearness.astype(np.float32), scene.solid).scaled
        case = Case(seed, scene, found, metres, _mistakes(scene.objects, found), absrel)
        worst = sorted([*worst, case], key=lambda one: -one.badness)[:CASES]
    return worst


def _mistakes(truths: Rows, found: Rows) -> int:
    wrong = 0
    for row in truths:
        counts = min(row[3] - row[1], row[4] - row[2]) >= _MIN_SIDE_PX and row[5] >= _MIN_VISIBLE
        same = found[found[:, 5] == row[0]]
        wrong += bool(counts) and not (overlaps(row[1:5], same) >= _RIGHT_IOU).any()
    for row in found:
        wrong += not (overlaps(row[:4], truths[:, 1:5]) >= _RIGHT_IOU).any()
    return int(wrong)


def sheet(cases: Sequence[Case]) -> Picture:
    """Per case a row: boxes (true green, found yellow or, where wrong, red), depth found, depth true."""
    return np.vstack(
        [np.hstack([_boxes(case), _depth(case.metres), _depth(_true_metres(case))]) for case in cases]
    )


def _boxes(case: Case) -> Picture:
    enlarged = cv2.resize(case.scene.image, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC)
    picture = np.asarray(enlarged, np.uint8)
    for row in case.scene.objects:
        if row[5] >= _MIN_VISIBLE:
            _rectangle(picture, row[1:5], _GREEN)
    for row in case.found:
        truths = case.scene.objects[case.scene.objects[:, 0] == row[5]]
        right = bool((overlaps(row[:4], truths[:, 1:5]) >= _RIGHT_IOU).any())
        _rectangle(picture, row[:4], _YELLOW if right else _RED)
        if not right:
            place = (int(row[0] * 1.5) + 2, max(10, int(row[1] * 1.5) - 3))
            cv2.putText(
                picture, f"{LABELS[int(row[5])]} {row[4]:.2f}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, _RED, 1
            )
    note = f"seed {case.seed}: {case.mistakes} wrong, AbsRel {case.absrel:.3f}"
    cv2.putText(picture, note, (6, picture.shape[0] - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1)
    return picture


def _rectangle(picture: Picture, corners: Rows, colour: tuple[int, int, int]) -> None:
    x_min, y_min, x_max, y_max = (round(float(value) * 1.5) for value in corners)
    cv2.rectangle(picture, (x_min, y_min), (x_max, y_max), colour, 1, cv2.LINE_AA)


def _true_metres(case: Case) -> Rows:
    return 1 / np.maximum(case.scene.nearness.astype(np.float32), 0.01)


def _depth(metres: Rows) -> Picture:
    share = 1 - np.log(np.clip(metres, 1.5, 100) / 1.5) / np.log(100 / 1.5)
    coloured = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.resize(coloured, None, fx=1.5, fy=1.5), np.uint8)


def curves(folder: Path, target: Path) -> None:
    """Loss and score of both trainings over processor minutes."""
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    wanted = (
        ("demo-detector", ("map50", "map50_95")),
        ("demo-depth", ("absrel", "absrel_solid", "absrel_raw")),
    )
    for axis, (name, scores) in zip(axes, wanted, strict=True):
        entries = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        minutes = [entry["core_minutes"] for entry in entries]
        for score in scores:
            axis.plot(minutes, [entry[score] for entry in entries], marker=".", label=score)
        axis.set(title=name, xlabel="processor minutes")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(target, dpi=110)


def main() -> None:
    """Write the sheet of worst cases and the curves."""
    CARD_IMAGES.mkdir(parents=True, exist_ok=True)
    picture = sheet(worst_cases(600))
    cv2.imwrite(str(CARD_IMAGES / "worst.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 82])
    curves(Path("training/work/fit"), CARD_IMAGES / "curves.png")


if __name__ == "__main__":
    main()
