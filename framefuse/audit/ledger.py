"""The ledger: frames by outcome. Published = sum of the outcomes + in flight, always. Pure.

A frame counts by its latest attempt: a replay is a new frame record with `attempt + 1`, whose outcome takes
the place of the one before instead of adding a frame.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from framefuse.audit.halves import silent
from framefuse.audit.lettered import Lettered
from schemas.heads import FusedHead
from schemas.records import Fused, Outcome


@dataclass(frozen=True, slots=True)
class Ledger:
    """Frames by what became of them."""

    published: int = 0
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    """Outcomes without a frame may be left out."""
    in_flight: int = 0
    """Frames that will still get their outcome."""

    @property
    def settled(self) -> int:
        """Frames with an outcome."""
        return sum(self.outcomes.values())

    @property
    def difference(self) -> int:
        """Published frames that are neither settled nor in flight; 0 when the books balance."""
        return self.published - self.settled - self.in_flight

    def counts(self) -> dict[str, int]:
        """Every line by its name in lower case: `published`, each outcome, `in_flight`."""
        outcomes = {outcome.value.lower(): self.outcomes.get(outcome, 0) for outcome in Outcome}
        return {"published": self.published, **outcomes, "in_flight": self.in_flight}

    def in_words(self) -> str:
        """One line, such as `12 published = 10 fused + 1 partial + 1 in flight`; zeros are left out."""
        names = self.counts()
        del names["published"]
        parts = [f"{count:,} {name.replace('_', ' ')}" for name, count in names.items() if count]
        if self.difference:
            parts.append(f"{self.difference:,} unaccounted for")
        return f"{self.published:,} published = {' + '.join(parts) or 'nothing yet'}"


class Tally:
    """Counts outcomes as they are read, in any order, each frame record once.

    Only a frame with a letter can be replayed: one that ended as a dead letter, or one that was decided while
    a side was silent, which may have failed later. Only those are remembered, and the replays themselves.
    """

    def __init__(self, *, most: int | None = None) -> None:
        """Begin.

        Args:
            most: frames to remember for their replays, for who counts for ever; the replay of one that is
                forgotten counts as a frame of its own.
        """
        self.outcomes: Counter[Outcome] = Counter()
        self.superseded = 0
        """Frame records whose outcome does not count, because of a later attempt."""
        self._lettered = Lettered(most)
        self._replayed: dict[str, tuple[int, Outcome]] = {}
        self._most = most

    def add(self, result: Fused | FusedHead) -> None:
        """Take the outcome of one frame record."""
        before = self._before(result.frame_id)
        if before is not None and (result.attempt or before[0] or before[1] is Outcome.DEAD_LETTER):
            self.superseded += 1
            if result.attempt <= before[0]:
                return
            self.outcomes[before[1]] -= 1
        self.outcomes[result.outcome] += 1
        if result.attempt:
            self._remember_replay(result)
        elif _may_have_a_letter(result):
            self._lettered.add(result.frame_id, result.outcome)

    def _before(self, frame_id: str) -> tuple[int, Outcome] | None:
        """The latest attempt of this frame so far, and how it ended, where it may have others."""
        if (replayed := self._replayed.get(frame_id)) is not None:
            return replayed
        outcome = self._lettered.get(frame_id)
        return None if outcome is None else (0, outcome)

    def _remember_replay(self, result: Fused | FusedHead) -> None:
        if self._most is not None and len(self._replayed) >= self._most:
            self._replayed.clear()
        self._replayed[result.frame_id] = (result.attempt, result.outcome)

    def ledger(self, records: int, in_flight: int) -> Ledger:
        """The ledger, given the number of frame records and how many of them have no outcome yet."""
        return Ledger(records - self.superseded, +self.outcomes, in_flight)


def _may_have_a_letter(result: Fused | FusedHead) -> bool:
    if result.outcome is Outcome.LOST:
        return False  # nobody had read it; millions of them must not be remembered
    return result.outcome is Outcome.DEAD_LETTER or any(map(silent, result.missing))
