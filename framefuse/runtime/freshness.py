"""Whether a live frame is still worth computing. Pure: time comes in as an argument."""

from datetime import datetime

from schemas.records import Frame


def expired(frame: Frame, appended_at: datetime, now: datetime) -> str | None:
    """Why a frame is too old to compute, or None while it is worth it. Files never expire."""
    share = age_share(frame, appended_at, now)
    if share is None or share <= 1:
        return None
    return f"{_age_ms(frame, appended_at, now):.0f} ms old, budget {frame.freshness_ms} ms"


def age_share(frame: Frame, appended_at: datetime, now: datetime) -> float | None:
    """The age of a frame as a share of its budget, above 1 when it has expired; None if it never does."""
    if not frame.live or frame.freshness_ms is None:
        return None
    return _age_ms(frame, appended_at, now) / max(1, frame.freshness_ms)


def _age_ms(frame: Frame, appended_at: datetime, now: datetime) -> float:
    """`now − appended_at + capture_to_send_ms`.

    The broker's clock against this host's, and the publisher's own monotonic clock; the camera's clock is
    never compared with ours.
    """
    return (now - appended_at).total_seconds() * 1000 + frame.capture_to_send_ms
