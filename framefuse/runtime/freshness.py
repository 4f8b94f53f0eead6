"""Whether a live frame is still worth computing. Pure: time comes in as an argument."""

from datetime import datetime

from schemas.records import Frame


def expired(frame: Frame, appended_at: datetime, now: datetime) -> str | None:
    """Why a frame is too old to compute, or None while it is worth it.

    Its age is `now − appended_at + capture_to_send_ms`: the broker's clock against this host's, and the
    publisher's own monotonic clock; the camera's clock is never compared with ours. Files never expire.
    """
    if not frame.live or frame.freshness_ms is None:
        return None
    age_ms = (now - appended_at).total_seconds() * 1000 + frame.capture_to_send_ms
    if age_ms <= frame.freshness_ms:
        return None
    return f"{age_ms:.0f} ms old, budget {frame.freshness_ms} ms"
