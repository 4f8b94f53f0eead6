"""Make the demo models from nothing: `python -m training.run` (or `make train`).

Draws the scenes, trains both nets side by side with one thread each, writes the ONNX files. Stop it at
any time: started again it goes on where it was. Needs the extra `training`.
"""

import argparse
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import cv2
from rich.console import Console

from framefuse.errors import Stop
from training.export import export_depth, export_detector, write_sums
from training.fit import Budget, Fit
from training.shards import CALIBRATION, TRAIN, draw_split
from training.tasks import DepthTask, DetectorTask, Task

TASKS: dict[str, Callable[[Path], Task]] = {"detector": DetectorTask, "depth": DepthTask}


def fit(name: str, work: Path, budget: Budget) -> None:
    """Train one net, or go on training it."""
    cv2.setNumThreads(1)
    Fit(TASKS[name](work / "data"), work / "fit", budget).run()


def export(work: Path) -> None:
    """Write both ONNX files and their digests from the latest checkpoints."""
    export_detector(work / "fit" / f"{DetectorTask.name}.pt", work / "data")
    export_depth(work / "fit" / f"{DepthTask.name}.pt")
    write_sums()


def train_side_by_side(work: Path, budget: Budget) -> None:
    """Both nets at once, a process each.

    Raises:
        Stop: one of them ended before its budget was spent.
    """
    fresh = multiprocessing.get_context("spawn")
    processes = {name: fresh.Process(target=fit, args=(name, work, budget)) for name in TASKS}
    for process in processes.values():
        process.start()
    for process in processes.values():
        process.join()
    failed = [name for name, process in processes.items() if process.exitcode != 0]
    if failed:
        raise Stop(
            f"training of {' and '.join(failed)} broke off, see above: the same command goes on from there"
        )


def main() -> None:
    """Run the steps asked for, by default all."""
    parser = argparse.ArgumentParser(description="Make the demo models from nothing.")
    parser.add_argument(
        "--work", type=Path, default=Path("training/work"), help="folder for data and checkpoints"
    )
    parser.add_argument("--core-minutes", type=float, default=32, help="processor minutes for each net")
    parser.add_argument(
        "--export-only", action="store_true", help="write the ONNX files from the last checkpoints"
    )
    chosen = parser.parse_args()
    if not chosen.export_only:
        draw_split(chosen.work / "data", TRAIN, workers=2)
        draw_split(chosen.work / "data", CALIBRATION, workers=2, plain=True)
        train_side_by_side(chosen.work, Budget(chosen.core_minutes))
    export(chosen.work)
    Console().print("wrote processors/models: measure them with 'python -m training.evaluate'")


if __name__ == "__main__":
    main()
