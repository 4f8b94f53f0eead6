"""Credentials in the addresses of cameras: references that whoever opens a camera resolves, never the words.

    rtsp://viewer:${CAM1_PASSWORD}@10.0.0.11/stream1            an environment variable
    rtsp://viewer:${file:/run/secrets/cam1}@10.0.0.11/stream1   the text of a file
    https://10.0.0.12/video.mjpg?token=${CAM2_TOKEN}            anywhere in an address

What a reference stands for is taken as it is, but for a last line break, and encoded for its place: it may
hold `@`, `/` or `%`. Only addresses with `://` have references; the path of a file is left alone. No message
here holds a value.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from framefuse.errors import BadInput

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FILE = "file:"
_KEYS = (
    "pass(?:word|wd|phrase|code)?|pas|pwd|pw|token|secret|key"
    "|auth|jwt|signature|sig|credentials?|session(?:id)?"
)
# Some recorders have it in the path: rtsp://host/user=admin_password=…_channel=1_stream=0.sdp
_SECRET = re.compile(
    rf"(?i)(?<![a-z0-9])(?P<key>(?:[a-z0-9.]*[_-])?(?:user|login|access|auth|api|stream)?(?:{_KEYS}))="
    r"(?P<value>[^&;/?#]*)"
)
_HERE = "\0"
"""Stands for a reference, which may hold any of the marks that divide an address."""
_LITERAL = re.compile(rf"{_SECRET.pattern.rpartition('(?P<value>')[0]}(?!{_HERE}(?:[_&;/?#]|$))[^&;]+")
"""A literal value as far as it may go: it may hold what divides an address, too."""
_HIDDEN = "***"
_BEGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/*|.*?://+", re.DOTALL)


class LiteralCredential(BadInput):
    """A password that stands in an address as it is."""


class MissingCredential(BadInput):
    """A reference that cannot be resolved here and now; it may be, later."""


def resolve(source: str, *, environment: Mapping[str, str] | None = None, below: Path | None = None) -> str:
    """The address with every reference replaced by what it stands for. Never show the answer to anybody.

    Args:
        source: an address; without `://` it is given back as it is.
        environment: instead of that of this process.
        below: files are read below this folder only.

    Raises:
        MissingCredential: a variable is not set, or a file cannot be read; the message names it.
        BadInput: a reference that is none.
    """
    variables = os.environ if environment is None else environment
    if "://" not in source:
        return source
    return _REFERENCE.sub(lambda found: quote(_value_of(found[1], variables, below), safe=""), source)


def check(source: str) -> None:
    """Refuse a literal password in an address that others will read.

    Raises:
        LiteralCredential: as a part of the address, or as a value of `password=`, `token=` and the like.
        BadInput: a reference that is none.
    """
    scheme, mark, rest = source.partition("://")
    if not mark:
        return
    for found in _REFERENCE.finditer(rest):
        _check_reference(found[1])
    plain = _REFERENCE.sub(_HERE, rest)
    authority = _authority(plain)
    if authority.rpartition("@")[0].partition(":")[2] not in ("", _HERE):
        raise LiteralCredential(_advice(scheme, "the password before the '@'"))
    if not _clear(authority, plain):
        raise LiteralCredential(
            f"{scheme}://…: neither a port nor a login can be read from it; {_example(scheme)}; "
            "elsewhere '@' is written %40"
        )
    for found in _SECRET.finditer(plain):
        if not _is_reference(found["value"]):
            raise LiteralCredential(_advice(scheme, f"the value of '{found['key']}='"))


def masked(source: str) -> str:
    """The address as it may be shown: literal passwords hidden, references as they stand.

    Where it is not clear what is a password, more is hidden; also where slashes are missing or too many.
    """
    begin = _BEGIN.match(source)
    if begin is None:
        return source
    rest = source[begin.end() :]
    references = iter([found[0] for found in _REFERENCE.finditer(rest)])
    plain = _without_literals(_REFERENCE.sub(_HERE, rest))
    return begin[0] + re.sub(_HERE, lambda _: next(references, _HIDDEN), plain)


def redacted(
    text: str, source: str, *, environment: Mapping[str, str] | None = None, below: Path | None = None
) -> str:
    """A message, perhaps of a library, with what the references of `source` stand for put out of it."""
    variables = os.environ if environment is None else environment
    text = text.replace(source, masked(source))
    for found in _REFERENCE.finditer(source):
        try:
            value = _value_of(found[1], variables, below)
        except BadInput:
            continue
        for form in (value, quote(value, safe=""), quote(value)):
            text = text.replace(form, found[0])
    return text


def _value_of(reference: str, variables: Mapping[str, str], below: Path | None) -> str:
    _check_reference(reference)
    if reference.startswith(_FILE):
        return _content(Path(reference.removeprefix(_FILE)), below)
    if not variables.get(reference):
        state = "empty" if reference in variables else "not set"
        raise MissingCredential(
            f"the environment variable {reference} is {state}: set it for the process that opens the camera"
        )
    return variables[reference]


def _content(path: Path, below: Path | None) -> str:
    if below is not None and not path.resolve().is_relative_to(below.resolve()):
        raise MissingCredential(f"{path} is not below {below}, where credentials are read")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8"
        raise MissingCredential(f"{path}: {reason}: the process that opens the camera reads it") from None
    value = text.removesuffix("\n").removesuffix("\r")
    if not value:
        raise MissingCredential(f"{path} is empty: write the password into it")
    return value


def _check_reference(reference: str) -> None:
    if reference.startswith(_FILE) and Path(reference.removeprefix(_FILE)).is_absolute():
        return
    if reference.startswith("FRAMEFUSE_"):
        raise BadInput(
            f"the reference ${{{reference}}} is a setting of framefuse, perhaps the password of its broker, "
            "and no camera's: name another variable"
        )
    if not _NAME.fullmatch(reference):
        # What it says could be a password that somebody took for a reference.
        raise BadInput(
            "a reference that is neither ${NAME} of an environment variable "
            "nor ${file:/absolute/path}: correct what stands between '${' and '}'"
        )


def _authority(plain: str) -> str:
    return re.split(r"[/?#]", plain, maxsplit=1)[0]


def _ambiguous(host: str, plain: str) -> bool:
    """Whether what looks like a host may be the start of a login, cut by a `/` in the password."""
    port = _port(host)
    return port is not None and (not re.fullmatch(r"\d{0,5}", port) or "@" in plain)


def _port(host: str) -> str | None:
    """What follows the colon after a host, which may be an IPv6 address."""
    _, colon, port = re.sub(r"\[[^]]*\]", "", host).partition(":")
    return port if colon else None


def _ends_as_a_host(host: str) -> bool:
    """Whether no colon follows it, or a port: a number, or a reference."""
    port = _port(host)
    return port is None or port == _HERE or re.fullmatch(r"\d{0,5}", port) is not None


def _without_literals(plain: str) -> str:
    """Literal values hidden; where no login can be told from a path, also all up to the last `@`."""
    authority = _authority(plain)
    if _clear(authority, plain):
        login = authority.rpartition("@")[0]
        user, colon, password = login.partition(":")
        user = _LITERAL.sub(_hide, user) + colon + (password if password in ("", _HERE) else _HIDDEN)
        return user + _LITERAL.sub(_hide, plain[len(login) :])
    last = plain.rfind("@")
    if last < 0:
        return _HIDDEN + _LITERAL.sub(_hide, plain[len(authority) :])
    if any(found.start() < last < found.end() for found in _LITERAL.finditer(plain)):
        return _HIDDEN
    return f"{_HIDDEN}@{_LITERAL.sub(_hide, plain[last + 1 :])}"


def _clear(authority: str, plain: str) -> bool:
    """Whether it is certain where the login ends: no `@` and no `/` that divide could be of a password."""
    login, at, host = authority.rpartition("@")
    if not at:
        return not _ambiguous(host, plain)
    _, colon, password = login.partition(":")
    goes_on = bool(colon) and password != _HERE and "@" in plain[len(authority) :]
    return not goes_on and _ends_as_a_host(host)


def _hide(found: re.Match[str]) -> str:
    return f"{found['key']}={_HIDDEN}"


def _is_reference(value: str) -> bool:
    """Nothing, or a reference and what may follow it in a path."""
    return not value or value == _HERE or value.startswith(f"{_HERE}_")


def _advice(scheme: str, what: str) -> str:
    return f"{scheme}://…: {what} is a literal credential, which everybody could read: {_example(scheme)}"


def _example(scheme: str) -> str:
    return (
        f"write a reference, {scheme}://user:${{CAM1_PASSWORD}}@host/… (an environment variable) "
        f"or {scheme}://user:${{file:/run/secrets/cam1}}@host/…"
    )
