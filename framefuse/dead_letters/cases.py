"""What the dead letters say, one case a frame, and which cases a user means. Pure.

Both stages may give up on the same frame, and a letter may come twice after a crash: that is one case still.
A case is about the latest attempt; once that was sent again, or dismissed, it is no longer open.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches

from framefuse.errors import BadInput
from schemas.records import Frame

_OFFSETS = re.compile(r"(\d{1,19})(-)?(\d{1,19})?")
_BEYOND = 1 << 63


@dataclass(frozen=True, slots=True, order=True)
class LetterId:
    """Where a letter is in the topic of dead letters."""

    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> "LetterId":
        """From `57`, or `2:57` where the topic has several partitions.

        Raises:
            BadInput: it is neither.
        """
        partition, _, offset = text.rpartition(":")
        if not offset.isdecimal() or not (partition or "0").isdecimal() or len(text) > 30:
            raise BadInput(
                f"no letter '{text}': give its number in 'framefuse dead-letters list', such as 57"
            )
        return cls(int(partition or 0), int(offset))

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}" if self.partition else str(self.offset)


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where a record was that nobody could use."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}@{self.offset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter without the bytes it holds."""

    id: LetterId
    written_at: datetime
    origin: Origin
    stage: str
    error: str
    message: str
    version: str
    attempt: int
    size_bytes: int
    """Of the original value."""
    frame: Frame | None
    """Without its picture; None where the value is no frame that can be read now."""
    obstacle: str | None
    """Why there is no frame."""


@dataclass(slots=True)
class Case:
    """The letters of one frame's latest attempt; at least one."""

    letters: list[Letter] = field(default_factory=list)
    """In the order they were written, at most one a stage."""
    attempt: int = 0
    sent_again_as: int = 0
    """The latest attempt that a replay has made of it; 0 when there was none."""
    dismissed: int = -1
    """The latest attempt that somebody has dismissed; -1 when there was none."""

    @property
    def open(self) -> bool:
        """Whether the latest attempt ended here: no replay came after it, and nobody has dismissed it."""
        return self.sent_again_as <= self.attempt and self.dismissed < self.attempt

    @property
    def last(self) -> Letter:
        """The latest letter."""
        return self.letters[-1]

    @property
    def next_attempt(self) -> int:
        """Of a replay."""
        frame = self.last.frame
        return max(self.attempt, self.sent_again_as, frame.attempt if frame else 0) + 1

    def add(self, letter: Letter) -> None:
        """Take in a letter of this frame; one of an attempt before the latest counts no more."""
        if letter.attempt > self.attempt:
            self.letters, self.attempt = [], letter.attempt
        known = any((one.stage, one.origin) == (letter.stage, letter.origin) for one in self.letters)
        if letter.attempt == self.attempt and not known:
            self.letters.append(letter)


class Cases:
    """Sorts letters into cases. Feed it each partition of the topic in order."""

    def __init__(self) -> None:
        self._cases: dict[str | Origin, Case] = {}
        self._key: dict[Origin, str | Origin] = {}
        self.unreadable = 0
        """Records of the topic that are no letters."""
        self.offsets: set[int] = set()
        """Of all letters, also of those that count no more."""
        self.stages: set[str] = set()
        """That wrote them."""

    def add(self, letter: Letter) -> None:
        """Take in one letter."""
        self.offsets.add(letter.id.offset)
        self.stages.add(letter.stage)
        key = letter.frame.frame_id if letter.frame else letter.origin
        self._key[letter.origin] = key
        self._cases.setdefault(key, Case(attempt=letter.attempt)).add(letter)

    def sent_again(self, origin: Origin, attempt: int) -> None:
        """Take note that a replay made this attempt of a record."""
        case = self._cases.get(self._key.get(origin, origin))
        if case is not None:
            case.sent_again_as = max(case.sent_again_as, attempt)

    def dismiss(self, origin: Origin, attempt: int) -> None:
        """Take note that nobody wants this attempt of a record back."""
        case = self._cases.get(self._key.get(origin, origin))
        if case is not None:
            case.dismissed = max(case.dismissed, attempt)

    def __iter__(self) -> Iterator[Case]:
        """By their latest letter, oldest first."""
        return iter(sorted(self._cases.values(), key=lambda case: (case.last.written_at, case.last.id)))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cases are meant; what is None does not matter."""

    stage: str | None = None
    error: str | None = None
    """The class of the error, or a part of what it says."""
    since: datetime | None = None
    topic: str | None = None
    """Of the original record; its full name, or without the prefix."""
    offsets: range | None = None
    """Of letters."""

    def takes(self, case: Case) -> bool:
        """Whether any letter of the case is meant."""
        return any(self._means(letter) for letter in case.letters)

    def check_known(self, cases: Cases, topic: str, stages: Collection[str]) -> None:
        """Refuse what cannot be meant, so that a slip of the hand is not taken for "nothing to do".

        Offsets from one on are a filter, as a moment is: letters may come yet.

        Args:
            cases: of all letters.
            topic: that holds them.
            stages: those that are installed.

        Raises:
            BadInput: there is no letter at the offset or between the two, or nobody knows the stage.
        """
        wanted, there = self.offsets, cases.offsets
        if wanted is not None and wanted.stop <= _BEYOND and not any(one in wanted for one in there):
            text = f"letter {wanted.start}"
            text += f" to {wanted.stop - 1}" if wanted.stop - wanted.start != 1 else ""
            kept = f"its letters are {min(there)} to {max(there)}" if there else "it has no letters"
            raise BadInput(f"no {text} in {topic}: {kept}")
        known = sorted(cases.stages.union(stages))
        if self.stage is not None and self.stage not in known:
            near = get_close_matches(self.stage, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
            raise BadInput(
                f"no stage {self.stage} is installed here, and no letter in {topic} names it: {hint}"
            )

    def _means(self, letter: Letter) -> bool:
        topic = letter.origin.topic
        return (
            self.stage in (None, letter.stage)
            and (self.error is None or self.error.lower() in f"{letter.error}: {letter.message}".lower())
            and (self.since is None or letter.written_at >= self.since)
            and (self.topic is None or topic == self.topic or topic.endswith(f".{self.topic}"))
            and (self.offsets is None or letter.id.offset in self.offsets)
        )


def only(cases: Sequence[Case], everyone: Sequence[Case]) -> str | None:
    """The option that means these cases, at least one, and no other; None where no single one does."""
    numbers = [case.last.id.offset for case in cases]
    first, last, error = min(numbers), max(numbers), cases[0].last.error
    span = f"--offset {first}" if first == last else f"--offset {first}-{last}"
    choices = {span: Selection(offsets=offsets(span.removeprefix("--offset ")))}
    if error.isidentifier():
        choices[f"--error {error}"] = Selection(error=error)
    meant = sorted(case.last.id for case in cases)
    for option, selection in choices.items():
        if sorted(case.last.id for case in everyone if selection.takes(case)) == meant:
            return option
    return None


def offsets(text: str) -> range:
    """From `57`, `57-90` (both included) or `57-`.

    Raises:
        BadInput: it is none of these.
    """
    match = _OFFSETS.fullmatch(text.strip())
    if match is None or (match[3] is not None and match[2] is None):
        raise BadInput(f"no offsets '{text}': expected 57, 57-90 or 57-")
    first = int(match[1])
    last = int(match[3]) if match[3] else _BEYOND if match[2] else first
    return range(first, last + 1)
