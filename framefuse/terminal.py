"""Terminals: whether somebody looks, so that what moves is worth drawing, and what text one may be given."""

import os
from unicodedata import category

from rich.console import Console


def watched(console: Console) -> bool:
    """Whether bars and live tables belong there.

    Not into a file or a pipe, even where colours are forced (FORCE_COLOR), not on a terminal that cannot move
    its cursor, and not into the log of a build (CI), which may pretend to be a terminal.
    """
    in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return console.is_interactive and console.file.isatty() and not in_ci


def printable(text: str) -> str:
    r"""Text of others, on one line: what a terminal would act upon, or not show, as an escape such as `\x1b`.

    In a record its writer speaks, and a terminal obeys what it is given. Of markup this knows nothing.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or category(char) == "Zs" else ascii(char)[1:-1] for char in text
    )


def printable_lines(text: str) -> str:
    """The same where a text may have several lines, which stay lines."""
    return "\n".join(map(printable, text.split("\n")))
