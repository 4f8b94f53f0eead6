"""What other users of this host see of a command: `ps` shows everybody the arguments of every process.

Whoever gives a password as it is, and not as a reference, gets a warning, and the process a title without it.
It was to be seen until then: some tenths of a second, while Python starts.
"""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from framefuse.errors import BadInput
from framefuse.streams.credentials import LiteralCredential, check, masked


def hide_credentials(arguments: Sequence[str]) -> None:
    """Give this process a title without literal passwords, if its arguments have any.

    Args:
        arguments: as the process got them.
    """
    shown = shown_arguments(arguments)
    if shown != list(arguments):
        from setproctitle import setproctitle

        setproctitle(" ".join(shown))


def shown_arguments(arguments: Iterable[str]) -> list[str]:
    """The arguments with literal passwords of addresses hidden."""
    return [masked(argument) if "://" in argument else argument for argument in arguments]


def warn_of_literals(addresses: Iterable[str]) -> None:
    """Say on stderr which addresses have a literal password, and what to write instead."""
    console = Console(stderr=True, highlight=False)
    for address in addresses:
        try:
            check(address)
        except LiteralCredential as error:
            text = f": {error}. The history of the shell may hold it now."
            console.print(Text.assemble(("warning", "yellow"), text), soft_wrap=not console.is_terminal)
        except BadInput:
            continue  # whoever opens it says what is wrong with it
