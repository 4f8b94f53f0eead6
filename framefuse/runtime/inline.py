"""The pipeline in memory: the same stages over one picture at a time, with lists for topics. No Kafka."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from framefuse.errors import Poison, Stop
from framefuse.pictures.decoding import measure
from framefuse.plugins import load_stage
from framefuse.publishing.decisions import frame_id_for
from framefuse.settings import in_variables, load
from framefuse.types import Merge, Prepared, Processor, Record, Stage, origin_of
from schemas.records import Depth, Detections, Frame, Fused, Status
from schemas.topics import DEPTH, DETECTIONS, FRAMES

Half = Detections | Depth
STAGES: Mapping[str, str] = {"detection": DETECTIONS.suffix, "depth": DEPTH.suffix}
"""The stages that look at a picture, and the suffix of the topic that each writes."""
_NOT_RUN: Mapping[str, type[Half]] = {DETECTIONS.suffix: Detections, DEPTH.suffix: Depth}
_PARTITION = 0
NOT_ASKED = "not asked for"
"""Why a side is missing that did not run."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A side that nobody asked for; it says so in every result."""

    suffix: str

    def half(self, record: Record[Frame]) -> Half:
        """The record of a side that did not run."""
        record_type = _NOT_RUN[self.suffix]
        return record_type(**origin_of(record).head(), status=Status.EXPIRED, reason=NOT_ASKED)


@dataclass(frozen=True, slots=True)
class Side:
    """A stage that runs."""

    suffix: str
    processor: Processor[Frame, Any, Half]

    def half(self, record: Record[Frame]) -> Half:
        """What the stage makes of one frame; a failure of the model is a result that says so.

        Raises:
            UnreadableImage: the picture is broken.
            ProcessorFailed: it is larger than the stage's own limit.
        """
        began = time.perf_counter()
        fitted = self.processor.prepare(record)
        preprocess_ms = (time.perf_counter() - began) * 1e3
        try:
            (answer,) = self.processor.process([Prepared(record, fitted, 0.0, preprocess_ms)])
        except Poison as error:
            answer = error
        if not isinstance(answer, Poison):
            return answer
        refused = self.processor.refused(origin_of(record), Status.FAILED, str(answer))
        if refused is None:
            raise Stop(f"the stage of {self.suffix} has no record for a frame that failed: {answer}")
        return refused


class Inline:
    """Detection, depth and join in this process; results come back in the order of the pictures."""

    def __init__(self, sides: Mapping[str, Side | Skipped], merge: Merge) -> None:
        self._sides, self._merge = sides, merge
        self._offset = 0
        self._merge.assigned(_PARTITION, (), dict.fromkeys(sides, 0))

    def fuse(self, frame: Frame) -> Fused:
        """The one outcome of a frame.

        Raises:
            UnreadableImage, ProcessorFailed: no stage takes the picture; it takes no place in the order.
        """
        now = datetime.now(UTC)
        record = Record(frame, FRAMES.suffix, _PARTITION, self._offset, now)
        halves = {suffix: side.half(record) for suffix, side in self._sides.items()}
        for suffix, half in halves.items():
            self._merge.add(suffix, Record(half, suffix, _PARTITION, self._offset, now))
        self._offset += 1
        (emission,) = self._merge.advance(_PARTITION, datetime.now(UTC))
        if not isinstance(emission.value, Fused):
            raise Stop(f"the join gave a {type(emission.value).__name__}, expected a Fused: is it ours?")
        return emission.value

    def close(self) -> None:
        """Give back the models."""
        for side in self._sides.values():
            if isinstance(side, Side):
                side.processor.close()


def open_inline(flags: Mapping[str, Mapping[str, object]]) -> Inline:
    """Open the stages named in `flags`, each with its flags; the other side is skipped.

    Raises:
        BadInput: a flag does not fit, or a stage is not installed.
        ModelUnusable: a model cannot be opened.
        ProviderUnavailable: a provider is not there.
    """
    sides: dict[str, Side | Skipped] = {}
    for name, suffix in STAGES.items():
        stage = load_stage(name)
        if name not in flags:
            sides[suffix] = Skipped(suffix)
        else:
            sides[suffix] = Side(suffix, _processor(stage, flags[name]))
    join = load_stage("join")
    if join.merge is None:
        raise Stop("stage join has no merge: framefuse infer cannot run it")
    return Inline(sides, join.merge(load(join.settings)))


def _processor(stage: Stage[Any], flags: Mapping[str, object]) -> Processor[Frame, Any, Any]:
    if stage.build is None:
        raise Stop(f"stage {stage.name} has no processor: framefuse infer cannot run it")
    try:
        return stage.build(load(stage.settings, **flags))
    except Stop as error:  # it names flags of 'framefuse run', which has them all
        raise type(error)(in_variables(str(error), stage.settings, flags)) from error


def frame_of(image: bytes, *, stream_id: str, run_id: str, sequence: int) -> Frame:
    """A frame record of an encoded picture, of any size in bytes.

    Raises:
        UnreadableImage: it is none of our encodings, or its header is broken.
    """
    encoding, width, height = measure(image)
    return Frame(
        frame_id=frame_id_for(stream_id),
        stream_id=stream_id,
        run_id=run_id,
        sequence=sequence,
        captured_at=datetime.now(UTC),
        attempt=0,
        live=False,
        width=width,
        height=height,
        encoding=encoding,
        image=image,
        sha256=sha256(image).hexdigest(),
    )
