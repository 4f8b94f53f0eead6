"""The ledger: frames by outcome. Published = sum of the outcomes + in flight, always. Pure.

A frame counts by its latest attempt: a replay is a new frame record with `attempt + 1`, whose outcome takes
the place of the one before instead of adding a frame.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from framefuse.audit.halves import silent
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
    a side was silent, which may have failed later. Only those are remembered by id.
    """

    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.superseded = 0
        """Frame records whose outcome does not count, because of a later attempt."""
        self._latest: dict[str, tuple[int, Outcome]] = {}

    def add(self, result: Fused | FusedHead) -> None:
        """Take the outcome of one frame record."""
        before = self._latest.get(result.frame_id)
        if before is not None and (result.attempt or before[0] or before[1] is Outcome.DEAD_LETTER):
            self.superseded += 1
            if result.attempt <= before[0]:
                return
            self.outcomes[before[1]] -= 1
        self.outcomes[result.outcome] += 1
        if result.attempt or _may_have_a_letter(result):
            self._latest[result.frame_id] = (result.attempt, result.outcome)

    def ledger(self, records: int, in_flight: int) -> Ledger:
        """The ledger, given the number of frame records and how many of them have no outcome yet."""
        return Ledger(records - self.superseded, +self.outcomes, in_flight)


def _may_have_a_letter(result: Fused | FusedHead) -> bool:
    if result.outcome is Outcome.LOST:
        return False  # nobody had read it; millions of them must not be remembered
    return result.outcome is Outcome.DEAD_LETTER or any(map(silent, result.missing))
