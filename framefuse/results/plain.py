"""A result as JSON, under the names of its record; the bytes of the depth map only on request."""

import json
from base64 import b64encode
from datetime import datetime
from typing import Any

from schemas.records import Fused
from schemas.shape import to_plain


def as_json(fused: Fused, *, path: str | None = None, with_map: bool = False) -> str:
    """One line of JSON: the fields of Fused.

    Args:
        fused: the result.
        path: of the picture, put first when given.
        with_map: keep `map.data`, in base64; without, the map has no `data`.
    """
    plain: dict[str, Any] = to_plain(Fused)(fused)
    if plain["map"] and not with_map:
        del plain["map"]["data"]
    first = {} if path is None else {"path": path}
    return plain_json(first | plain)


def plain_json(plain: dict[str, Any]) -> str:
    """One line of JSON of a record as `to_dict` gives it; what cannot be printed is escaped."""
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False, default=_text)
    if text.isprintable():
        return text
    # JSON may hold what ends a line for some readers, and what a terminal acts upon.
    return "".join(char if char.isprintable() or char == " " else json.dumps(char)[1:-1] for char in text)


def _text(value: object) -> str:
    """What JSON has no type for: times in ISO 8601, bytes in base64."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    raise TypeError(f"a record holds a {type(value).__name__}, which has no JSON")
