"""What closes a case: a note in the topic of dead letters, from a replay or from who dismisses. Pure."""

from dataclasses import replace
from importlib.metadata import version
from typing import Literal

from schemas.records import DeadLetter

REPLAY: Literal["replay"] = "replay"
"""The stage of a note which says that a record was sent again, and as which attempt."""
DISMISS: Literal["dismiss"] = "dismiss"
"""The stage of a note which closes a case without a replay; the message says why."""
_ERRORS = {REPLAY: "Replayed", DISMISS: "Dismissed"}


def closing_note(
    letter: DeadLetter, *, stage: Literal["replay", "dismiss"], message: str, attempt: int
) -> DeadLetter:
    """The letter without its bytes, and what became of this attempt of its frame.

    Args:
        letter: of the case that is closed.
        stage: `REPLAY` or `DISMISS`.
        message: where the frame is now, or why nobody wants it.
        attempt: that was sent, or that is dismissed.
    """
    return replace(
        letter,
        value=None,
        headers=(),
        stage=stage,
        error=_ERRORS[stage],
        message=message,
        version=version("framefuse"),
        attempt=attempt,
    )
