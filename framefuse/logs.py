"""Logging: one line an event, for people on a terminal, as JSON where a machine reads."""

import logging
import sys

import structlog

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
        # The one it chooses by itself shows the values of all variables.
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
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
            else [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    global _told_to_machines  # noqa: PLW0603 - logging is one for the whole process
    _told_to_machines = machine and not quiet
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO)
    # It retries by itself and tells of each try; what it gives up on is raised where it was called.
    logging.getLogger("framefuse.librdkafka").setLevel(logging.DEBUG if verbose else logging.CRITICAL)
