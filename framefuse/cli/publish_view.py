"""`framefuse publish` from its start to its last words: the sums, on stdout, and the exit status.

What it shows in between is in `publish_screen.py`.
"""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from rich.console import Console
from rich.text import Text

from framefuse.cli.publish_screen import Outcomes, Screen
from framefuse.cli.signals import EXIT_INTERRUPTED, terminated_like_interrupted
from framefuse.publishing.publication import Progress, Publication, PublishOptions
from framefuse.publishing.sources import Source
from framefuse.results.awaiting import OutcomeReader
from framefuse.runtime.health import HealthServer
from framefuse.settings import KafkaSettings
from schemas.records import Outcome

INCOMPLETE = 1
_TICK_S = 0.1
_PATIENCE_S = 10.0
_LAST_WORDS_S = 12.0


def follow(
    kafka: KafkaSettings,
    streams: Sequence[tuple[str, Source]],
    options: PublishOptions,
    *,
    wait: bool,
    as_json: bool,
    metrics: tuple[str, int] | None = None,
) -> int:
    """Publish the streams and show how it goes.

    Args:
        kafka: where the broker is.
        streams: stream ids with their sources.
        options: how to publish.
        wait: until every frame has an outcome.
        as_json: print the sums as one JSON object a stream.
        metrics: host and port where /metrics listens, unless nowhere.

    Returns:
        The exit status.

    Raises:
        FramefuseError: it cannot begin.
    """
    interrupted = False
    with ExitStack() as stack:
        stack.enter_context(terminated_like_interrupted())
        reader = stack.enter_context(OutcomeReader(kafka)) if wait else None
        publication = stack.enter_context(Publication(kafka, streams, options))
        if metrics is not None:
            host, port = metrics
            server = HealthServer(
                host=host, port=port, healthy=lambda: None, ready=lambda: publication.trouble
            )
            stack.callback(server.close)
        screen = stack.enter_context(Screen(Console(stderr=True)))
        try:
            _publish(publication, reader, screen)
            if reader is not None:
                _await(publication, reader, screen)
        except KeyboardInterrupt:
            interrupted = True
            publication.interrupt()
            publication.wait(_LAST_WORDS_S)
        screen.show(publication)
        progress = publication.progress()
        decided = reader is not None and reader.awaited.done(publication.ends)
    outcomes = reader.awaited.outcomes if reader else None
    _sum_up(progress, outcomes, decided=decided, as_json=as_json)
    return EXIT_INTERRUPTED if interrupted else exit_status(progress, outcomes)


def exit_status(progress: Sequence[Progress], outcomes: Outcomes | None) -> int:
    """0 when every picture is in the topic and, where asked, became a result; else 1."""
    if not all(stream.complete for stream in progress):
        return INCOMPLETE
    if outcomes is None:
        return 0
    return INCOMPLETE if any(_unprocessed(stream, outcomes) for stream in progress) else 0


def _publish(publication: Publication, reader: OutcomeReader | None, screen: Screen) -> None:
    while not publication.wait(0.0 if reader else _TICK_S):
        if reader is not None:
            reader.read(_TICK_S)
        screen.show(publication, reader.awaited.outcomes if reader else None)


def _await(publication: Publication, reader: OutcomeReader, screen: Screen) -> None:
    quiet_since_s = time.monotonic()
    while not reader.awaited.done(publication.ends):
        if reader.read(_TICK_S):
            quiet_since_s = time.monotonic()
        elif time.monotonic() - quiet_since_s > _PATIENCE_S:
            screen.say("wait", f"no outcome for {_PATIENCE_S:.0f} s: do detection, depth and join run?")
            quiet_since_s = time.monotonic()
        screen.show(publication, reader.awaited.outcomes)


def _sum_up(progress: Sequence[Progress], outcomes: Outcomes | None, *, decided: bool, as_json: bool) -> None:
    console = Console(highlight=False)
    console.soft_wrap = not console.is_terminal
    for stream in progress:
        found = None if outcomes is None else outcomes_of(stream, outcomes, decided=decided)
        if as_json:
            print(json.dumps(_as_json(stream, found)))
        else:
            console.print(Text.assemble((stream.stream_id, "bold"), f": {_in_words(stream, found)}"))


def _in_words(stream: Progress, outcomes: Mapping[str, int] | None) -> str:
    sums = stream.sums
    others = {
        "rejected": sums.rejected,
        "dropped": sums.dropped,
        "never acknowledged": sums.failed + sums.handed,
    }
    text = f"{sums.published} published in {stream.elapsed_s:.1f} s ({_rate(stream):.1f}/s)"
    text += "".join(f", {count} {what}" for what, count in others.items() if count)
    if stream.damaged:
        text += ", incomplete"
    if outcomes is not None:
        text += " → " + (", ".join(f"{count} {name}" for name, count in outcomes.items()) or "no outcome")
    return text


def _as_json(stream: Progress, outcomes: Mapping[str, int] | None) -> dict[str, object]:
    sums = stream.sums
    found: dict[str, object] = {
        "stream_id": stream.stream_id,
        "run_id": stream.run_id,
        "source": stream.title,
        "published": sums.published,
        "rejected": sums.rejected,
        "dropped": sums.dropped,
        "not_acknowledged": sums.failed + sums.handed,
        "last_sequence": sums.last_sequence,
        "seconds": round(stream.elapsed_s, 3),
        "complete": stream.complete,
    }
    return found if outcomes is None else found | {"outcomes": dict(outcomes)}


def outcomes_of(stream: Progress, outcomes: Outcomes, *, decided: bool) -> dict[str, int]:
    """Frames of the stream by outcome, in lower case.

    Args:
        stream: of which they are.
        outcomes: by run, as far as they were read.
        decided: whether every frame has one: those of no run are lost then, and in flight until then.
    """
    counted = outcomes.get(stream.run_id, Counter())
    found = {outcome.value.lower(): counted[outcome] for outcome in Outcome if counted[outcome]}
    missing = stream.sums.published - counted.total()
    return found | {"lost" if decided else "in flight": missing} if missing > 0 else found


def _unprocessed(stream: Progress, outcomes: Outcomes) -> bool:
    counted = outcomes.get(stream.run_id, Counter())
    return counted.total() < stream.sums.published or counted[Outcome.DEAD_LETTER] > 0


def _rate(stream: Progress) -> float:
    return stream.sums.published / stream.elapsed_s if stream.elapsed_s > 0 else 0.0
