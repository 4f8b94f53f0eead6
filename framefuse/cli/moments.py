"""Moments as users write them."""

import re
from datetime import datetime, timedelta

from framefuse.errors import BadInput

_AGO = re.compile(r"(\d+)\s*([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(text: str, now: datetime) -> datetime:
    """A moment from `90s`, `10m`, `2h`, `1d` (that long ago) or ISO 8601, which is local time without a zone.

    Raises:
        BadInput: it is neither, or is still to come.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        at = datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise BadInput(f"no moment '{text}': expected 10m, 2h, 1d or 2026-03-01T12:00") from None
    if at > now:
        raise BadInput(f"{text} is still to come: nothing is as late as that")
    return at
