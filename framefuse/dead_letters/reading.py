"""Reads the topic of dead letters. Thin: what letters mean is decided in `cases.py`. Joins no group."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from framefuse.dead_letters.cases import Cases, Letter, LetterId, Origin
from framefuse.dead_letters.notes import DISMISS, REPLAY
from framefuse.errors import BadInput
from framefuse.kafka import Admin, Message, Reader
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.runtime.intake import check_ids
from framefuse.settings import KafkaSettings
from framefuse.types import Partition
from schemas.codec import NotARecord, SchemaBook, decode
from schemas.records import DeadLetter, Frame
from schemas.topics import DEAD_LETTERS, FRAMES

_PREFETCH_RECORDS = 20
Progress = Callable[[int, int], None]
"""Told how many letters have been read, of how many at most."""


class DeadLetterTopic:
    """The dead letters of one pipeline. A context manager."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Connect.

        Raises:
            BrokerUnavailable: no broker answers.
            Stop: there are no topics.
        """
        self._topic, self._frames = DEAD_LETTERS.name(settings.prefix), FRAMES.name(settings.prefix)
        Admin(settings).partition_count(self._topic)
        self._book = SchemaTopic(settings, announce=False).book
        self._reader = Reader(settings, prefetch=_PREFETCH_RECORDS, client_id="framefuse-dead-letters")

    def cases(self, progress: Progress = lambda done, total: None) -> Cases:
        """Everything that is in the topic now.

        Raises:
            Retry: the broker stops answering.
        """
        cases, notes = Cases(), list[tuple[str, Origin, int]]()
        bounds = self._reader.bounds(self._topic)
        total = sum(end - first for first, end in bounds.values())
        for done, message in enumerate(self._reader.within(bounds), start=1):
            progress(done, total)
            try:
                letter = decode(message.value, DeadLetter, self._book)
            except NotARecord:
                cases.unreadable += 1
                continue
            origin = Origin(letter.topic, letter.partition, letter.offset)
            if letter.stage in (REPLAY, DISMISS):
                notes.append((letter.stage, origin, letter.attempt))
            else:
                cases.add(self._letter(message, letter, origin))
        for stage, origin, attempt in notes:  # a note may be in another partition than its letter
            (cases.dismiss if stage == DISMISS else cases.sent_again)(origin, attempt)
        return cases

    def kept(self) -> int:
        """How many letters there are, at most: markers of transactions count, too.

        Raises:
            Retry: the broker does not answer.
        """
        return sum(end - first for first, end in self._reader.bounds(self._topic).values())

    def letter(self, wanted: LetterId) -> tuple[Letter, DeadLetter, Frame | None]:
        """One letter; with the bytes it holds; and the frame in them, where it can be read now.

        Raises:
            BadInput: it is not there, or it is no letter.
        """
        for message, letter in self._at([wanted]):
            origin = Origin(letter.topic, letter.partition, letter.offset)
            frame, _ = frame_in(letter, self._frames, self._book)
            return self._letter(message, letter, origin), letter, frame
        raise BadInput(f"no letter {wanted} in {self._topic}: 'framefuse dead-letters list' names them")

    def frames(self, wanted: Sequence[LetterId]) -> Iterator[tuple[LetterId, DeadLetter, Frame]]:
        """These letters with the bytes they hold, and the frame in each; those without are left out."""
        for message, letter in self._at(wanted):
            frame, _ = frame_in(letter, self._frames, self._book)
            if frame is not None:
                yield LetterId(message.partition, message.offset), letter, frame

    def letters(self, wanted: Sequence[LetterId]) -> Iterator[tuple[LetterId, DeadLetter]]:
        """These letters with the bytes they hold."""
        for message, letter in self._at(wanted):
            yield LetterId(message.partition, message.offset), letter

    def close(self) -> None:
        """Disconnect."""
        self._reader.close()

    def __enter__(self) -> "DeadLetterTopic":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _letter(self, message: Message, letter: DeadLetter, origin: Origin) -> Letter:
        frame, obstacle = frame_in(letter, self._frames, self._book)
        return Letter(
            id=LetterId(message.partition, message.offset),
            written_at=message.timestamp,
            origin=origin,
            stage=letter.stage,
            error=letter.error,
            message=letter.message,
            version=letter.version,
            attempt=letter.attempt,
            size_bytes=len(letter.value or b""),
            frame=replace(frame, image=b"") if frame else None,
            obstacle=obstacle,
        )

    def _at(self, wanted: Sequence[LetterId]) -> Iterator[tuple[Message, DeadLetter]]:
        """These letters, read from the first to the last of each partition."""
        there = self._reader.bounds(self._topic)
        bounds = {}
        for part, (first, end) in there.items():
            offsets = [one.offset for one in wanted if one.partition == part.number and one.offset < end]
            if offsets:
                bounds[Partition(part.topic, part.number)] = max(first, min(offsets)), max(offsets) + 1
        names = frozenset(wanted)
        for message in self._reader.within(bounds):
            if LetterId(message.partition, message.offset) not in names:
                continue
            try:
                yield message, decode(message.value, DeadLetter, self._book)
            except NotARecord as error:
                raise BadInput(f"{self._topic} has no letter at {message.offset}: {error}") from None


def frame_in(letter: DeadLetter, frames_topic: str, book: SchemaBook) -> tuple[Frame | None, str | None]:
    """The frame that a letter holds, or why there is none that could be sent again."""
    if letter.topic != frames_topic:
        return None, f"it was a record of {letter.topic}, which a stage computes, and no frame"
    try:
        frame = decode(letter.value, Frame, book)
    except NotARecord as error:
        return None, f"its value cannot be read: {error}"
    try:
        check_ids(frame)
    except NotARecord as error:
        return None, f"no stage takes it: {error}"
    return frame, None
