"""Opens a model as its stage would, and times it. What it finds is shown by `report.py`."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

import numpy as np

from framefuse.errors import BadInput, ModelFailed, ModelUnusable, ProviderUnavailable
from framefuse.settings import load
from processors.about import About
from processors.depth.stage import DepthEstimation, DepthSettings
from processors.detection.settings import DetectionSettings
from processors.detection.stage import Detection
from processors.hub.families import family_of
from processors.hub.folder import read_folder
from processors.hub.opening import Runtime, fetch_for
from processors.model_files.addresses import parse, shown
from processors.model_files.anatomy import Anatomy, NotOnnx, read_anatomy
from processors.model_files.model import LocalModel
from processors.model_files.remotes import NotThere, TooLarge, Unreachable
from processors.models_command.bars import fetching_bar, timing_bar
from processors.picture_model import PictureModel

Flags = Mapping[str, object]
DETECTION, DEPTH = "detection", "depth"
_AS = {DETECTION: "as a detector", DEPTH: "as a depth model"}
_NOT_ASKED_WELL = (NotThere, TooLarge, Unreachable)
"""The file was not looked at: that says nothing about it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user said; a flag that is None was not given."""

    stage: str | None
    flags: Flags
    detection: Flags = field(default_factory=dict)
    """Flags of that stage alone."""
    depth: Flags = field(default_factory=dict)
    runs: int = 10


@dataclass(frozen=True, slots=True)
class Usable:
    """A model that opened and ran."""

    stage: str
    runtime: str
    file: LocalModel
    anatomy: Anatomy | None
    """Of an ONNX file."""
    about: About
    threads: int
    runs_ms: Sequence[float]
    """Of each run with as many pictures as one run takes at least."""

    @property
    def size_bytes(self) -> int:
        """Of its files."""
        path = self.file.path
        folder = path if path.is_dir() else path.parent
        there = (folder / name for name in self.file.files)
        return sum(one.stat().st_size for one in there if one.is_file())

    @property
    def p50_ms(self) -> float:
        """The median run."""
        return median(self.runs_ms)


@dataclass(frozen=True, slots=True)
class Unusable:
    """A model that no stage can use as things are."""

    address: str
    reason: str


class _Stage(Protocol):
    def about(self) -> About: ...
    def close(self) -> None: ...


def check(wish: Wish) -> Usable | Unusable:
    """Fetch a model, open it in its stage, and time it.

    Raises:
        BadInput: flags that do not fit together.
        ModelUnusable: there is no such file, or it cannot be fetched.
    """
    logging.getLogger("framefuse.model").setLevel(logging.WARNING)  # the report says it
    stages = _stages(wish)
    settings = _settings(stages[0], wish)
    address = str(settings.model)
    try:
        with fetching_bar():
            runtime, found = fetch_for(address, settings.runtime, settings.fetching)
        anatomy = None if runtime is Runtime.TORCH else _anatomy(found)
        said = _said_by_family(found) if anatomy is None else anatomy.metadata
        stage, opened = _opened(wish, _meant(stages, said))
        try:
            about = opened.about()
            runs_ms = _timed(about.model, wish.runs)
        finally:
            opened.close()
    except _NOT_ASKED_WELL:
        raise
    except (ModelUnusable, ProviderUnavailable, ModelFailed) as error:
        return Unusable(shown(parse(address)), str(error))
    return Usable(stage, runtime, found, anatomy, about, settings.threads, runs_ms)


def _stages(wish: Wish) -> Sequence[str]:
    """Those that the user's words leave."""
    given = {
        DETECTION: [name for name, value in wish.detection.items() if value is not None],
        DEPTH: [name for name, value in wish.depth.items() if value is not None],
    }
    meant = [stage for stage, names in given.items() if names]
    flags = {stage: f"--{given[stage][0].replace('_', '-')} is for {stage}" for stage in meant}
    if wish.stage is not None:
        flags[wish.stage] = f"--stage says {wish.stage}"
    if len(flags) > 1:
        raise BadInput(f"{' and '.join(flags.values())}: a model is for one of them, leave the other out")
    return list(flags) or [DETECTION, DEPTH]


def _settings(stage: str, wish: Wish) -> DetectionSettings | DepthSettings:
    if stage == DETECTION:
        return load(DetectionSettings, **wish.flags, **wish.detection)
    return load(DepthSettings, **wish.flags, **wish.depth)


def _anatomy(found: LocalModel) -> Anatomy:
    try:
        return read_anatomy(found.path)
    except NotOnnx:
        return Anatomy({}, "", {}, frozenset())  # opening it says what is wrong


def _said_by_family(found: LocalModel) -> Mapping[str, str]:
    folder = read_folder(found)
    return family_of(folder).describe(folder)


def _meant(stages: Sequence[str], said: Mapping[str, str]) -> Sequence[str]:
    """The only stage that a model can be for, where its metadata says what it is; else both, to be tried."""
    if len(stages) == 1:
        return stages
    if "kind" in said or said.get("task") == "depth":
        return [DEPTH]
    return [DETECTION] if "names" in said or said.get("task") == "detect" else stages


def _opened(wish: Wish, stages: Sequence[str]) -> tuple[str, _Stage]:
    """The first of the stages that can use the model.

    Raises:
        ModelUnusable: none can; says what each says.
        ProviderUnavailable: the provider is not there.
    """
    reasons: dict[str, str] = {}
    for stage in stages:
        settings = _settings(stage, wish)
        try:
            if isinstance(settings, DetectionSettings):
                return stage, Detection(settings)
            return stage, DepthEstimation(settings)
        except ModelUnusable as error:
            reasons[stage] = str(error)
    if len(set(reasons.values())) == 1:
        raise ModelUnusable(next(iter(reasons.values())))
    raise ModelUnusable("\n".join(f"{_AS[stage]}: {reason}" for stage, reason in reasons.items()))


def _timed(model: PictureModel, runs: int, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Milliseconds of each run, after one that is not counted."""
    shape = model.input
    noise = np.random.default_rng(0).random((shape.batch or 1, 3, shape.height, shape.width), np.float32)
    model.run_all(noise)
    taken_ms = []
    with timing_bar(runs) as done:
        for _ in range(runs):
            began_s = clock()
            model.run_all(noise)
            taken_ms.append((clock() - began_s) * 1e3)
            done()
    return taken_ms
