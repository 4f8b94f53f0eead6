"""Options that several commands share."""

from typing import Annotated

import typer

Bootstrap = Annotated[
    str | None,
    typer.Option(
        help="host:port of a Kafka broker; the one of 'framefuse broker up' by default. "
        "[dim](FRAMEFUSE_BOOTSTRAP)[/dim]"
    ),
]
Prefix = Annotated[
    str | None, typer.Option(help="First part of topic and group names. [dim](FRAMEFUSE_PREFIX)[/dim]")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
