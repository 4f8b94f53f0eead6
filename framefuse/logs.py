"""Logging: one line an event, for people on a terminal, as JSON where a machine reads."""

import logging
import sys
from io import StringIO
from typing import TextIO

import structlog

from framefuse.terminal import printable_lines

_SHARED: list[structlog.typing.Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


_told_to_machines = False


def tell_machines(text: str) -> bool:
    """Log an error as JSON, where the log is what a machine reads; whether it is."""
    if _told_to_machines:
        logging.getLogger("framefuse").error(text)
    return _told_to_machines


def configure(*, verbose: bool = False, quiet: bool = False, as_json: bool | None = None) -> None:
    """Send all logging to stderr.

    Args:
        verbose: debug messages too.
        quiet: errors only, for commands that draw on the screen.
        as_json: one JSON object a line; by default when stderr is no terminal.
    """
    machine = not sys.stderr.isatty() if as_json is None else as_json
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if machine
        else structlog.dev.ConsoleRenderer(exception_formatter=_traceback)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ]
            if machine
            else [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _made_printable, renderer],
        )
    )
    global _told_to_machines  # noqa: PLW0603 - logging is one for the whole process
    _told_to_machines = machine and not quiet
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO)
    # It retries by itself and tells of each try; what it gives up on is raised where it was called.
    logging.getLogger("framefuse.librdkafka").setLevel(logging.DEBUG if verbose else logging.CRITICAL)


def _made_printable(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """JSON escapes what a terminal would act upon, lines for people do not: text of records is in both."""
    return {
        name: printable_lines(value) if isinstance(value, str) else value for name, value in event.items()
    }


def _traceback(out: TextIO, error: structlog.typing.ExcInfo) -> None:
    # The renderer that is chosen by default shows the values of all variables.
    text = StringIO()
    structlog.dev.plain_traceback(text, error)
    out.write(printable_lines(text.getvalue()))
