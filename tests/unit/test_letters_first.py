"""Dead letters of stages whose sink is no topic: posted before the position passes them, and once."""

import json
from collections.abc import Mapping, Sequence

import pytest

from framefuse.errors import Retry
from framefuse.runtime.letters_first import LettersFirst
from framefuse.types import Output, Partition, Positions
from schemas.records import DeadLetter
from tests.parts.results import Group, GroupPositions
from tests.unit.builders import START


class Told:
    """What happened, in order; a sink, and where letters go."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def post(self, letters: Sequence[Output[str]]) -> None:
        self.events += [f"letter {one.partition}/{one.offset}" for one in letters]

    def write(self, batch: Sequence[Output[str]], positions: Positions) -> Mapping[Partition, int] | None:
        self.events.append(f"wrote {json.dumps([one.value for one in batch])}")
        positions.commit()
        return None

    def close(self) -> None:
        self.events.append("closed")


def an_output(offset: int, value: str | None, *, partition: int = 0) -> Output[str]:
    """One that has a value, or else a letter."""
    letter = None if value else a_letter(offset)
    return Output(value, partition, offset, START, b"gate", letter)


def a_letter(offset: int) -> DeadLetter:
    return DeadLetter(
        topic="framefuse.fused",
        partition=0,
        offset=offset,
        timestamp=START,
        value=b"?",
        stage="near-alerts",
        error="ProcessorFailed",
        message="ValueError: no",
        version="0",
        attempt=0,
    )


def test_letters_are_posted_before_the_batch_is_written() -> None:
    told = Told()
    batch = [an_output(0, "a"), an_output(1, None), an_output(0, None, partition=1), an_output(2, "b")]
    LettersFirst(told, told.post).write(batch, GroupPositions(Group(), 3))
    assert told.events == ["letter 0/1", "letter 1/0", 'wrote ["a", null, null, "b"]']


def test_a_batch_that_comes_again_posts_no_letter_again() -> None:
    told = Told()
    sink = LettersFirst(told, told.post)
    batch = [an_output(0, "a"), an_output(1, None)]
    with pytest.raises(Retry):
        sink.write(batch, GroupPositions(Group(), 2, fenced=True))
    sink.write([*batch, an_output(2, None)], GroupPositions(Group(), 3))
    assert [event for event in told.events if event.startswith("letter")] == ["letter 0/1", "letter 0/2"]


def test_nothing_is_written_when_a_letter_was_not_taken() -> None:
    told = Told()

    def refuse(letters: Sequence[Output[str]]) -> None:
        raise Retry(f"{len(letters)} refused")

    with pytest.raises(Retry, match="1 refused"):
        LettersFirst(told, refuse).write([an_output(0, None)], GroupPositions(Group(), 1))
    assert told.events == []
