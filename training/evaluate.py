"""How good the committed models are on scenes nobody trained on: `python -m training.evaluate`.

Needs no torch: draws the scenes, runs the ONNX files, asks the referee, prints the table.
"""

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from framefuse.errors import Stop
from training.detections import Rows, keep_best
from training.measures import FARTHEST_M, DepthErrors, depth_errors
from training.onnx_files import DEPTH, DETECTOR, SUMS, TimedModel, sha256
from training.referee import Verdict, judge
from training.shards import HEIGHT, TEST, WIDTH, Scene, draw
from training.video import Steadiness, steadiness

FILM_SEEDS = tuple(range(4_000_000, 4_000_010))


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of one evaluation; `prior` is what a fixed depth map would get."""

    scenes: int
    confidence: float
    large: Verdict
    small: Verdict
    depth: DepthErrors
    prior: DepthErrors
    detector_ms: float
    depth_ms: float


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table: a figure and what it should be (`at_least` or at most `limit`)."""

    name: str
    value: float
    limit: float | None = None
    at_least: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def check_sums() -> None:
    """Make sure that the files are the committed ones.

    Raises:
        Stop: a digest differs from SHA256SUMS.
    """
    expected = dict(line.split()[::-1] for line in SUMS.read_text().splitlines())
    for path in (DETECTOR, DEPTH):
        if sha256(path) != expected.get(path.name):
            raise Stop(f"{path.name} is not the file of {SUMS.name}: 'git checkout {path}' brings it back")


def evaluate(scenes: int, *, plain: bool = True) -> Report:
    """Measure both models on the first held-out scenes.

    Args:
        scenes: how many.
        plain: pictures as drawn; else half of them 16:9 between grey bars and half of them through JPEG.
    """
    detector, depth = TimedModel(DETECTOR), TimedModel(DEPTH)
    found: list[Rows] = []
    truths: list[Rows] = []
    maps: list[Rows] = []
    drawn: list[Scene] = []
    for seed in track(range(TEST.first_seed, TEST.first_seed + scenes), "held-out scenes", transient=True):
        scene = draw(seed, plain=plain)
        found.append(keep_best(detector.run(scene.image), (WIDTH, HEIGHT)))
        truths.append(scene.objects)
        maps.append(depth.run(scene.image)[0])
        drawn.append(scene)
    return Report(
        scenes=scenes,
        confidence=detector.confidence,
        large=judge(found, truths, min_side_px=10),
        small=judge(found, truths, min_side_px=6),
        depth=_mean_errors(maps, drawn),
        prior=_mean_errors([_usual_map(drawn)] * scenes, drawn),
        detector_ms=detector.milliseconds,
        depth_ms=depth.milliseconds,
    )


def _mean_errors(maps: Sequence[Rows], scenes: Sequence[Scene]) -> DepthErrors:
    errors = [
        depth_errors(metres, scene.nearness.astype(np.float32), scene.solid)
        for metres, scene in zip(maps, scenes, strict=True)
    ]
    rows = np.array([(e.raw, e.scaled, e.solid, e.within, e.scale, e.sky) for e in errors])
    return DepthErrors(*(float(value) for value in np.nanmean(rows, axis=0)))


def _usual_map(scenes: Sequence[Scene]) -> Rows:
    """The best fixed guess: each pixel's median depth over the very scenes it is judged on, sky left out."""
    nearness = np.stack([scene.nearness for scene in scenes]).astype(np.float32)
    nearness[nearness <= 1 / FARTHEST_M] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # pixels that are always sky
        usual = np.nanmedian(nearness, axis=0)
    return 1 / np.nan_to_num(usual, nan=1 / FARTHEST_M)


def lines(report: Report) -> list[Line]:
    """The table's rows with the targets they are held against."""
    large, small, depth = report.large, report.small, report.depth
    return [
        Line("mAP50, objects of 10 px and more", large.at_50, 0.95),
        Line("mAP50, objects of 6 px and more", small.at_50, 0.94),
        Line("mAP50-95, objects of 10 px and more", large.at_50_95, 0.77),
        Line("mAP50-95, objects of 6 px and more", small.at_50_95),
        Line(f"recall at {report.confidence:.2f}, 10 px and more", large.recall(report.confidence), 0.9),
        Line(
            f"precision at {report.confidence:.2f}, 10 px and more", large.precision(report.confidence), 0.9
        ),
        Line(f"recall at {report.confidence:.2f}, 6 px and more", small.recall(report.confidence), 0.9),
        Line(f"precision at {report.confidence:.2f}, 6 px and more", small.precision(report.confidence), 0.9),
        *(Line(f"AP50 {label}, 6 px and more", value) for label, value in small.by_label.items()),
        Line("depth AbsRel after median scale", depth.scaled, 0.055, at_least=False),
        Line("depth AbsRel after median scale, objects and clutter", depth.solid, 0.12, at_least=False),
        Line("depth AbsRel in metres as given", depth.raw),
        Line("depth within 25 %", depth.within),
        Line("sky seen as beyond 40 m", depth.sky),
        Line("fixed map: AbsRel after median scale", report.prior.scaled),
        Line("fixed map: AbsRel, objects and clutter", report.prior.solid),
        Line("detector, median processor ms", report.detector_ms, 15, at_least=False),
        Line("depth, median processor ms", report.depth_ms, 15, at_least=False),
    ]


def film_lines(film: Steadiness) -> list[Line]:
    """The same for moving pictures."""
    return [
        Line("film: object frames found", film.found),
        Line("film: found again in the next frame", film.continued),
        Line("film: losses per object and second", film.flickers_per_track_s),
        Line("film: edge jitter, px", film.jitter_px),
        Line("film: change of depth scale per frame", film.pulse),
        Line("film: its 95th percentile", film.pulse_95),
    ]


def table(rows: Sequence[Line], title: str) -> Table:
    """Rows for people."""
    shown = Table(title=title)
    for name in ("measure", "value", "target", "met"):
        shown.add_column(name, justify="left" if name == "measure" else "right")
    for row in rows:
        sign = "≥" if row.at_least else "≤"
        target = "" if row.limit is None else f"{sign} {row.limit:g}"
        met = {True: "yes", False: "NO", None: ""}[row.met]
        shown.add_row(row.name, f"{row.value:.4g}", target, met)
    return shown


def markdown(rows: Sequence[Line]) -> str:
    """The same rows for the model card."""
    shown = ["| measure | value | target |", "|---|---:|---:|"]
    for row in rows:
        sign = "≥" if row.at_least else "≤"
        target = "" if row.limit is None else f"{sign} {row.limit:g}{'' if row.met else ' (missed)'}"
        shown.append(f"| {row.name} | {row.value:.3g} | {target} |")
    return "\n".join(shown)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Measure the committed demo models on held-out scenes.")
    parser.add_argument("--scenes", type=int, default=600, help="held-out scenes (default 600)")
    parser.add_argument(
        "--packed", action="store_true", help="16:9 between grey bars, and JPEG, each half of the time"
    )
    parser.add_argument("--no-film", action="store_true", help="leave out the moving pictures")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    chosen = parser.parse_args()
    check_sums()
    rows = lines(evaluate(chosen.scenes, plain=not chosen.packed))
    if not chosen.no_film:
        rows += film_lines(steadiness(TimedModel(DETECTOR), TimedModel(DEPTH), FILM_SEEDS))
    if chosen.markdown:
        Console(soft_wrap=True).print(markdown(rows), markup=False, highlight=False)
    else:
        Console().print(table(rows, f"demo models on {chosen.scenes} held-out scenes"))


if __name__ == "__main__":
    main()
