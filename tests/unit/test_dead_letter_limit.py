"""When a worker stops instead of draining its topic into the dead letters."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from framefuse.errors import ModelFailed, Poison, ProcessorFailed, Stop, UnreadableImage
from framefuse.kafka import Message
from framefuse.runtime.compute import Computation
from framefuse.runtime.dead_letter_limit import DeadLetterLimit
from framefuse.runtime.dead_letters import letter_for
from framefuse.runtime.intake import Intake
from framefuse.runtime.letters_told import LettersTold
from framefuse.settings import StageSettings, load
from framefuse.types import Prepared, Record
from schemas.codec import SchemaBook, encode
from schemas.records import Derived, Detections, Frame, Status
from tests.unit.builders import START, a_frame, detections_of


def first_trouble(limit: DeadLetterLimit, failures: Sequence[bool]) -> tuple[int, str] | None:
    """After how many records the limit is reached, and why."""
    for count, failed in enumerate(failures, start=1):
        if (why := limit.note(failed=failed)) is not None:
            return count, why
    return None


def test_the_hundredth_failure_in_a_row_is_too_much() -> None:
    limit = DeadLetterLimit(consecutive=100, share=0)

    assert first_trouble(limit, [True] * 99 + [False] + [True] * 200) == (200, "100 records in a row")


def test_a_share_counts_only_once_enough_has_been_seen() -> None:
    every_second = [number % 2 == 1 for number in range(1000)]

    assert first_trouble(DeadLetterLimit(consecutive=0, share=0.5), every_second) == (
        200,
        "100 of the last 200 records",
    )
    assert first_trouble(DeadLetterLimit(consecutive=0, share=0.51), every_second) is None


def test_a_share_is_of_the_last_thousand_and_forgets_what_was_before() -> None:
    limit = DeadLetterLimit(consecutive=0, share=0.5)
    good, mixed = [False] * 5000, [True, True, False] * 1000

    assert first_trouble(limit, good) is None
    assert first_trouble(limit, mixed) == (749, "500 of the last 1,000 records")


def test_a_limit_of_0_is_none() -> None:
    assert first_trouble(DeadLetterLimit(consecutive=0, share=0), [True] * 3000) is None


class Saying:
    """Answers what the stream of a frame says: an error by name, or a result."""

    def prepare(self, record: Record[Frame]) -> str:
        if record.value.stream_id == "cut":
            raise UnreadableImage("the JPEG is cut off")
        return record.value.stream_id

    def process(self, batch: Sequence[Prepared[Frame, str]]) -> Sequence[Detections | Poison]:
        if any(prepared.input == "bug" for prepared in batch):
            raise ValueError("a bug")
        answers: dict[str, Poison] = {"nan": ModelFailed("not finite"), "theirs": Poison("too hot")}
        return [answers.get(one.input) or detections_of(one.record.offset) for one in batch]

    def refused(self, origin: Derived, status: Status, reason: str) -> Detections:
        return Detections(**origin.head(), status=status, reason=reason)

    def close(self) -> None:
        return


def finish(streams: Sequence[str], settings: StageSettings) -> list[str]:
    """The errors of the letters that a worker writes for frames of these streams, two a batch."""
    intake = Intake(Frame, SchemaBook(), lambda: None)
    errors: list[str] = []
    with ThreadPoolExecutor(2) as threads:
        computation = Computation("detection", Saying(), threads, settings)
        for start in range(0, len(streams), 2):
            values = [b"junk" if name == "junk" else encode(a_frame(name)) for name in streams[start:][:2]]
            batch = [
                Message("framefuse.frames", 0, start + at, START, None, value)
                for at, value in enumerate(values)
            ]
            taken = [intake.take(message, received_s=0.0, now=START) for message in batch]
            outputs = computation.finish([computation.start(one) for one in taken])
            errors += [output.letter.error for output in outputs if output.letter]
    return errors


@pytest.mark.parametrize(("stream", "reason"), [("bug", "ValueError: a bug"), ("nan", "not finite")])
def test_a_worker_whose_code_or_model_is_broken_stops_and_says_what_to_do(stream: str, reason: str) -> None:
    with pytest.raises(Stop, match="detection failed on 10 records in a row") as stop:
        finish(["gate", *[stream] * 10], load(StageSettings, dead_letter_limit=10))

    assert reason in str(stop.value)
    assert "framefuse dead-letters replay --stage detection" in str(stop.value)
    assert "DEAD_LETTER_LIMIT" in str(stop.value)


def test_bad_input_never_stops_a_worker_and_does_not_end_a_row_of_failures() -> None:
    settings = load(StageSettings, dead_letter_limit=4)

    assert len(finish(["cut", "junk", "theirs"] * 20, settings)) == 60
    with pytest.raises(Stop, match="4 records in a row"):
        finish(["bug", "cut", "bug", "junk", "bug", "theirs", "bug"], settings)


def test_a_limit_of_0_lets_a_worker_go_on() -> None:
    errors = finish(["bug"] * 300, load(StageSettings, dead_letter_limit=0, dead_letter_share=0))

    assert errors == [ProcessorFailed.__name__] * 300


def test_letters_are_told_the_first_at_once_and_then_how_many(caplog: pytest.LogCaptureFixture) -> None:
    told = LettersTold("detection", "detection-0")
    letter = letter_for(
        Message("frames", 0, 7, START, None, b"x"),
        stage="detection",
        error=UnreadableImage("no end"),
        attempt=0,
    )

    told.tell(0.0)
    told.add(letter)
    told.tell(1.0)
    for _ in range(7):
        told.add(letter)
    told.tell(5.0)
    told.tell(11.5)
    told.tell(30.0)

    first, second = (record.getMessage() for record in caplog.records)
    assert "1 UnreadableImage" in first
    assert "no end" in first
    assert "7 UnreadableImage" in second
    assert "framefuse dead-letters list --stage detection" in second
