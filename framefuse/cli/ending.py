"""How a command ends when it cannot go on: one line that says what to do, and an exit code.

The exit codes of every command are in `EXIT_CODES`, which `framefuse --help` ends with.
"""

import errno
import logging
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from framefuse.cli.signals import EXIT_INTERRUPTED
from framefuse.errors import FramefuseError
from framefuse.terminal import printable_lines

EXIT_CANNOT, EXIT_BUG, EXIT_PIPE_CLOSED = 2, 70, 141

EXIT_CODES = (
    "[bold]Exit codes[/bold]: 0 done · 1 done in part, or what was asked about is not well · 2 cannot be "
    "done as asked · 3 the broker does not run (broker status) · 70 a bug, please report it · 130 Ctrl-C · "
    "141 the reader of a pipe went away"
)


def end_with(error: BaseException, command: str) -> int:
    """Say what went wrong, on stderr, without a traceback; the exit code.

    Args:
        error: that ended the command.
        command: as it was typed, without the program's name.
    """
    match error:
        case KeyboardInterrupt():
            return EXIT_INTERRUPTED
        case OSError() if error.errno == errno.EPIPE:
            leave_pipe()
            return EXIT_PIPE_CLOSED
        case FramefuseError():
            from framefuse import logs

            if not logs.tell_machines(str(error)):
                _say("error", str(error))
            return EXIT_CANNOT
        case OSError() if error.strerror:
            _say("error", f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
            return EXIT_CANNOT
        case _:
            _say("bug", f"{type(error).__name__}: {error}")
            _say("", f"That is a mistake in framefuse. 'framefuse --debug {command}' shows where it is.")
            return EXIT_BUG


def leave_pipe() -> None:
    """Nobody reads any more: what is still in our buffers goes nowhere, without a word."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def warn_of_unread(*, into_log: bool) -> None:
    """Say once what is set and nothing reads: a name that is misspelt does nothing, and says nothing."""
    if not any(name.startswith("FRAMEFUSE_") for name in os.environ) and not Path("framefuse.yaml").exists():
        return  # as most often, and at no cost
    from framefuse.doctor.settings import unread

    try:
        found = unread()
    except Exception:  # a file that cannot be read: the command itself stops at it, and says why
        return
    if not found.mend:
        return
    text = f"{found.found}: {found.mend}"
    if into_log:
        logging.getLogger("framefuse.settings").warning(text)
    else:
        _say("warning", text, colour="yellow")


def _say(head: str, text: str, *, colour: str = "bold red") -> None:
    mark = f"[{colour}]{head}[/]: " if head else ""
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"{mark}{escape(printable_lines(text))}")
