"""Text with addresses and hashes in it, which people copy: no word is ever broken into two lines.

Rich either breaks what is longer than a line, or leaves every line to the terminal, which breaks any word.
"""

import re
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_WORD = re.compile(r"\S+\s*")


def print_whole(console: Console, markup: str) -> None:
    """Print a text: in a terminal wrapped between words, in a pipe not wrapped at all."""
    for line in Text.from_markup(markup).split("\n", allow_blank=True):
        pieces = line.divide(_offsets(line.plain, console.width)) if console.is_terminal else [line]
        for piece in pieces:
            piece.rstrip()
            console.print(piece, soft_wrap=True)


def _offsets(line: str, width: int) -> Sequence[int]:
    """Where lines begin, but for the first; a word longer than `width` cells has one for itself."""
    found: list[int] = []
    begun = 0
    for word in _WORD.finditer(line):
        before = line[begun : word.start()].strip()
        if before and cell_len(line[begun : word.end()].rstrip()) > width:
            begun = word.start()
            found.append(begun)
    return found
