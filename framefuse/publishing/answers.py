"""Whether the broker still answers a publisher: from what was handed over, and what came back.

Knows no clock and no Kafka: times come in as arguments. Not thread-safe.
"""

_PATIENCE_S = 3.0


class Answers:
    """Of one connection, for all records that go over it."""

    def __init__(self) -> None:
        self._open = 0
        self._since_s = 0.0
        self._unreachable = False

    def handed(self, now_s: float) -> None:
        """One more record waits for its answer.

        Args:
            now_s: monotonic seconds.
        """
        if self._open <= 0:  # below 0 where the answer was faster than who says that it was handed over
            self._since_s = now_s
        self._open += 1

    def returned(self, now_s: float, *, from_broker: bool) -> None:
        """One record waits no longer: the broker took it, or we gave it up."""
        self._open -= 1
        if from_broker:
            self.heard(now_s)

    def heard(self, now_s: float) -> None:
        """The broker said something."""
        self._since_s, self._unreachable = now_s, False

    def unreachable(self) -> None:
        """No connection to any broker could be made, or kept."""
        self._unreachable = True

    def trouble(self, now_s: float) -> str | None:
        """What is wrong with the broker; None while all is well, as far as can be told."""
        if self._unreachable:
            return "no broker answers"
        if self._open > 0 and now_s - self._since_s > _PATIENCE_S:
            return f"the broker has not answered for {now_s - self._since_s:.0f} s"
        return None
