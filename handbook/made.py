"""Fills the pages of docs/reference in: a line names what is made from the code in its place."""

import re
from collections.abc import Callable
from importlib import import_module

_MARK = re.compile(r"^<!-- made from the code: (?P<what>[a-z]+) -->$", re.MULTILINE)
_MAKERS = {
    "commands": ("handbook.commands", "page"),
    "settings": ("handbook.settings", "page"),
    "metrics": ("handbook.metrics", "page"),
    "records": ("handbook.records", "records_page"),
    "topics": ("handbook.records", "topics_page"),
}
"""By name only: importing all stages takes a second, and most pages need none of it."""


def filled(markdown: str) -> str:
    """The page with its marks replaced.

    Raises:
        KeyError: a mark names nothing that is made.
    """
    return _MARK.sub(lambda found: _maker(found["what"])(), markdown)


def _maker(what: str) -> Callable[[], str]:
    module, name = _MAKERS[what]
    maker: Callable[[], str] = getattr(import_module(module), name)
    return maker
