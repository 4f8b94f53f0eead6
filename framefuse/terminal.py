"""Whether somebody looks at a screen, so that what moves is worth drawing."""

import os

from rich.console import Console


def watched(console: Console) -> bool:
    """Whether bars and live tables belong there.

    Not into a file or a pipe, even where colours are forced (FORCE_COLOR), not on a terminal that cannot move
    its cursor, and not into the log of a build (CI), which may pretend to be a terminal.
    """
    in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return console.is_interactive and console.file.isatty() and not in_ci
