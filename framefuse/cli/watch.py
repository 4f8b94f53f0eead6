"""`framefuse watch`: results as they come, as a table, as lines, as JSON, or as a film."""

import sys
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from framefuse.cli.completing import stream_ids
from framefuse.cli.options import AsJson, Bootstrap, Prefix
from framefuse.cli.signals import EXIT_INTERRUPTED, terminated_like_interrupted
from framefuse.errors import BadInput, FramefuseError
from framefuse.terminal import printable, watched

if TYPE_CHECKING:
    from framefuse.cli.screen import View
    from framefuse.results.film import ResultFilm
    from framefuse.results.subscribing import ResultSubscriber
    from framefuse.results.watching import Watch
    from framefuse.settings import KafkaSettings

_POLL_S = 0.1
_SILENCE_S, _PATIENCE_S = 4.0, 1.0
_NAMED = 8
"""Streams that a message names at most."""

StreamOption = Annotated[
    str | None,
    typer.Option("--stream", help="Only the results of this stream.", autocompletion=stream_ids),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="End after this many results.")]
FromStart = Annotated[
    bool, typer.Option("--from-start", help="Begin with the oldest result that is kept, not with the next.")
]
Save = Annotated[
    Path | None,
    typer.Option("--save", dir_okay=False, help="Write an mp4 of the results too; needs --stream."),
]


def watch(
    *,
    stream: StreamOption = None,
    as_json: AsJson = False,
    limit: Limit = None,
    from_start: FromStart = False,
    save: Save = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Watch results come in: rates, latency, what was seen how far away, and how each stage keeps up.

    A live table in a terminal; one line a result where it is piped, and with --json one object a result,
    under the names of the Fused record without the bytes of its map: no statistics. Latency is from the
    frame's append to its outcome. Ctrl-C ends it, and the film, with exit status 130; --limit ends it with 0.

    [cyan]framefuse watch[/cyan]

    [cyan]framefuse watch --stream gate --json | jq .objects[].label[/cyan]

    [cyan]framefuse watch --stream gate --from-start --limit 200 --save gate.mp4[/cyan]
    """
    from framefuse.results.standing import frames_to_come
    from framefuse.results.subscribing import ResultSubscriber, Start
    from framefuse.results.watching import Watch
    from framefuse.settings import KafkaSettings, load

    if save is not None and stream is None:
        raise BadInput("--save films one stream: say which with --stream")
    kafka = load(KafkaSettings, bootstrap=bootstrap, prefix=prefix)
    with terminated_like_interrupted(), ExitStack() as stack:
        start = Start.BEGINNING if from_start else Start.NOW
        results = stack.enter_context(ResultSubscriber(start=start, settings=kafka))
        known = Watch({} if from_start else frames_to_come(kafka), stream=stream)
        view = stack.enter_context(_view(kafka, known, as_json=as_json))
        film = stack.enter_context(_film(save, kafka)) if save else None
        try:
            _follow(results, known, view, film, limit=limit, kafka=kafka)
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from None


def _follow(
    results: "ResultSubscriber",
    known: "Watch",
    view: "View",
    film: "ResultFilm | None",
    *,
    limit: int | None,
    kafka: "KafkaSettings",
) -> None:
    shown, begun_s = 0, time.monotonic()
    told = watched(Console())  # a table shows for itself that it is empty
    while limit is None or shown < limit:
        fused = results.get(_POLL_S)
        if fused is not None and known.add(fused, datetime.now(UTC)):
            shown += 1
            if film is not None:
                film.add(fused)
            view.result(fused)
        view.refresh()
        if not told and not shown and time.monotonic() - begun_s > _SILENCE_S:
            told = True
            print(_silence(known, kafka), file=sys.stderr)


def _silence(known: "Watch", kafka: "KafkaSettings") -> str:
    """What to say when nothing comes: nothing at all, or of other streams only."""
    others = sorted({*known.seen, *_announced(kafka)} - {known.stream})
    what = "no result" if known.stream is None else f"no result of stream {known.stream}"
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    there = f"the streams here: {', '.join(others[:_NAMED])}{more}" if others else "no publisher came yet"
    return printable(f"{what} in {kafka.prefix}.fused yet, waiting; {there}")


def _announced(kafka: "KafkaSettings") -> "Collection[str]":
    """The streams that publishers have told of; none where the broker does not say."""
    from framefuse.results.stream_states import StreamStates

    try:
        with StreamStates(kafka) as states:
            return states.read(_PATIENCE_S).keys()
    except FramefuseError:
        return ()


@contextmanager
def _view(kafka: "KafkaSettings", known: "Watch", *, as_json: bool) -> "Iterator[View]":
    from framefuse.cli.screen import JsonLines, Lines, Screen
    from framefuse.kafka import resolve_bootstrap
    from framefuse.results.standing import StandingWatch

    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    if as_json:
        yield JsonLines()
    elif not watched(console):
        yield Lines(console)
    else:
        title = f"{kafka.prefix} at {resolve_bootstrap(kafka)}"
        with StandingWatch(kafka) as standing, Screen(console, known, standing, title) as screen:
            yield screen


@contextmanager
def _film(path: Path, kafka: "KafkaSettings") -> "Iterator[ResultFilm]":
    from framefuse.results.film import ResultFilm

    with ResultFilm(path, kafka) as film:
        yield film
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    errors.print(f"{path}: {film.written} pictures" if film.written else f"{path}: no picture, so no film")
    if film.without_picture:
        errors.print(f"not in it, for their pictures are gone or unreadable: {film.without_picture}")
