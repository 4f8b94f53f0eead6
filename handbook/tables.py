"""Markdown of tables, and of text that was written for the terminal."""

import re
from collections.abc import Iterable, Sequence

_MARKUP = re.compile(r"\[(?P<style>cyan|bold|dim)\](?P<text>.*?)\[/(?P=style)\]")
_CODE = re.compile(r"(`[^`]+`)")
_SPECIAL = re.compile(r"([\\*<>\[\]])")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown on one line."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def named(rows: str) -> str:
    """A table whose first column holds names, which are never broken."""
    return f'<div class="names" markdown>\n\n{rows}\n\n</div>'


def code(text: str) -> str:
    """As code; nothing where there is nothing."""
    return f"`{text}`" if text else ""


def plain(text: str) -> str:
    """Text of the terminal as Markdown: its styles kept, its characters as they are."""
    styled = _MARKUP.sub(_styled, text)
    return "".join(part if _CODE.fullmatch(part) else _escaped(part) for part in _CODE.split(styled))


def _styled(found: re.Match[str]) -> str:
    if found["style"] == "bold":
        return f"\x02{found['text']}\x02"
    return code(found["text"].strip("()"))


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text).replace("\x02", "**")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
