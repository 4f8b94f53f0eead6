"""`framefuse dead-letters list|show|replay|dismiss`: what could not be processed, why, and its way back."""

import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from framefuse.cli.options import AsJson, Bootstrap, Prefix
from framefuse.cli.signals import EXIT_INTERRUPTED, terminated_like_interrupted
from framefuse.errors import BadInput

if TYPE_CHECKING:
    from framefuse.cli.dead_letters_view import ReplayBar, Replayed
    from framefuse.dead_letters.cases import Case, Cases, Selection
    from framefuse.dead_letters.replaying import Outcomes, Replay
    from framefuse.settings import KafkaSettings

_SHOW_PROGRESS_AFTER = 200

EXIT_IN_PART = 1
_ASK_ABOVE = 10
_POLL_S = 0.2
_PATIENCE_S = 10.0

_HELP = """Records that could not be processed: list them, look at one, send their frames again.

[cyan]framefuse dead-letters list[/cyan]

[cyan]framefuse dead-letters replay --stage detection --wait[/cyan]

[cyan]framefuse dead-letters dismiss --offset 57 --reason 'junk of a test'[/cyan]
"""
app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=_HELP,
)

Stage = Annotated[str | None, typer.Option("--stage", help="Only what this stage gave up on.")]
Error = Annotated[
    str | None, typer.Option("--error", help="Only this class of error, or with this in its message.")
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="MOMENT", help="Only since 10m, 2h, 1d or 2026-03-01T12:00.")
]
TopicOption = Annotated[
    str | None, typer.Option("--topic", help="Only records of this topic; the prefix may be left out.")
]
Offsets = Annotated[
    str | None, typer.Option("--offset", metavar="N", help="Only these letters: 57, 57-90 or 57-.")
]
All = Annotated[bool, typer.Option("--all", help="Also those that were sent again or dismissed already.")]

Yes = Annotated[
    bool,
    typer.Option(
        "--yes",
        "-y",
        help=f"Do not ask. Else more than {_ASK_ABOVE} are asked about, and without a terminal refused.",
    ),
]


@app.command(name="list")
def list_letters(
    *,
    stage: Stage = None,
    error: Error = None,
    since: Since = None,
    topic: TopicOption = None,
    offset: Offsets = None,
    everything: All = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows of the table, the latest ones.")] = 50,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """The letters that are kept, one row a record: two stages that gave up on it are one.

    [cyan]framefuse dead-letters list[/cyan]

    [cyan]framefuse dead-letters list --stage detection --error ModelFailed --since 2h --json[/cyan]
    """
    from framefuse.cli.dead_letters_view import as_dict, show_table

    kafka, selection = _kafka(bootstrap, prefix), _selection(stage, error, since, topic, offset)
    cases = _select(kafka, _read(kafka), selection, everything=everything)
    if as_json:
        print(json.dumps([as_dict(case) for case in cases]))
    else:
        show_table(Console(highlight=False), cases, limit)


@app.command()
def show(
    letter: Annotated[str, typer.Argument(metavar="LETTER", help="Its number in the list.")],
    *,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save", dir_okay=False, help="Write its picture; its bytes as they were where there is none."
        ),
    ] = None,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """One letter: what it was, decoded where that is possible now, and what was wrong with it.

    [cyan]framefuse dead-letters show 57 --save broken.jpg[/cyan]
    """
    from framefuse.cli.dead_letters_view import letter_as_dict, show_letter
    from framefuse.dead_letters.cases import LetterId
    from framefuse.dead_letters.reading import DeadLetterTopic

    with DeadLetterTopic(_kafka(bootstrap, prefix)) as letters:
        found, raw, frame = letters.letter(LetterId.parse(letter))
    if as_json:
        print(json.dumps(letter_as_dict(found, raw)))
    else:
        show_letter(Console(highlight=False), found, raw)
    if save is not None:
        content, what = (frame.image, "the picture") if frame else (raw.value or b"", "the value as it was")
        try:
            save.write_bytes(content)
        except OSError as error:
            raise BadInput(f"cannot write {save}: {error.strerror}") from None
        Console(stderr=True, soft_wrap=True, highlight=False).print(
            f"{save}: {what}, {len(content):,} bytes", markup=False
        )


@app.command()
def replay(
    *,
    stage: Stage = None,
    error: Error = None,
    since: Since = None,
    topic: TopicOption = None,
    offset: Offsets = None,
    everything: All = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    yes: Yes = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until every frame has an outcome.")] = False,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Send frames again, once what was wrong is mended: as new records with the next attempt.

    Same frame, stream, run and sequence; the latest attempt counts in every book. They never expire, and wait
    for the workers as files do. What is still no frame cannot be sent, and is named.

    [cyan]framefuse dead-letters replay --stage detection --since 2h --dry-run[/cyan]

    [cyan]framefuse dead-letters replay --offset 57-90 --yes --wait --json | jq .outcomes[/cyan]

    Exit status: 0 all sent · 1 something was not, or with --wait is a dead letter again or lost · 2 cannot
    begin, or cannot note what was sent · 130 Ctrl-C.
    """
    from framefuse.cli.dead_letters_view import Replayed, replayed_as_dict, show_plan, show_unsent
    from framefuse.settings import flags_of

    kafka, console = _kafka(bootstrap, prefix), Console(highlight=False, stderr=as_json)
    with terminated_like_interrupted():
        everyone = _read(kafka)
        selection = _selection(stage, error, since, topic, offset)
        cases = _select(kafka, everyone, selection, everything=everything)
        sendable = [case for case in cases if case.last.frame is not None]
        show_plan(console, cases, sendable)
        if dry_run and sendable:
            console.print("Nothing was sent: that was a dry run.")
        sends = bool(sendable) and not dry_run
        if sends and not yes and len(sendable) > _ASK_ABOVE:
            _ask(f"{len(sendable):,} frames", "send", "again")
        try:
            done = _send(kafka, console, sendable, wait=wait) if sends else Replayed()
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from None
    show_unsent(console, cases, list(everyone), flags_of(kafka))
    if as_json:
        print(json.dumps(replayed_as_dict(cases, done, dry_run=dry_run)))
    if (sends and not done.complete_for(sendable)) or len(sendable) < len(cases):
        raise typer.Exit(EXIT_IN_PART)


@app.command()
def dismiss(
    *,
    stage: Stage = None,
    error: Error = None,
    since: Since = None,
    topic: TopicOption = None,
    offset: Offsets = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for who looks later.")] = "dismissed by hand",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Close letters that nobody wants back, such as junk that is no frame; their bytes stay till retention.

    Say which with --stage, --error, --since, --topic or --offset. No frame is sent and no outcome changes;
    'list --all' and 'show' still have them.

    [cyan]framefuse dead-letters dismiss --error UndecodableRecord --dry-run[/cyan]

    [cyan]framefuse dead-letters dismiss --offset 57 --reason 'junk of a test' --yes[/cyan]
    """
    from framefuse.cli.dead_letters_view import show_dismissed
    from framefuse.dead_letters.dismissing import dismiss as close_cases

    if all(one is None for one in (stage, error, since, topic, offset)):
        raise BadInput(
            "say which letters: --offset, --error, --stage, --topic or --since, such as --offset 57"
        )
    kafka, console = _kafka(bootstrap, prefix), Console(highlight=False, stderr=as_json)
    with terminated_like_interrupted():
        selection = _selection(stage, error, since, topic, offset)
        cases = _select(kafka, _read(kafka), selection, everything=False)
        if cases and not dry_run:
            if not yes and len(cases) > _ASK_ABOVE:
                _ask(f"{len(cases):,} records", "dismiss")
            close_cases(kafka, cases, reason)
    show_dismissed(console, cases, dry_run=dry_run)
    if as_json:
        print(json.dumps({"dry_run": dry_run, "dismissed": [str(case.last.id) for case in cases]}))


def _send(kafka: "KafkaSettings", console: Console, cases: "Sequence[Case]", *, wait: bool) -> "Replayed":
    """Send them; what became of them."""
    from framefuse.cli.dead_letters_view import ReplayBar, Replayed, show_sums
    from framefuse.dead_letters.reading import DeadLetterTopic
    from framefuse.dead_letters.replaying import Outcomes, Replay

    attempts = {case.last.id: case.next_attempt for case in cases}
    with ExitStack() as stack:
        outcomes = stack.enter_context(Outcomes(kafka)) if wait else None
        letters = stack.enter_context(DeadLetterTopic(kafka))
        replay = stack.enter_context(Replay(kafka))
        bar = stack.enter_context(ReplayBar(len(cases)))
        for letter_id, letter, frame in letters.frames(list(attempts)):
            replay.send(letter, frame, attempts[letter_id], bar.waiting)
            bar.sent()
        replay.finish()
        if outcomes is not None:
            _await(outcomes, replay, bar)
    done = Replayed(len(replay.places), replay.refused, outcomes.ended if outcomes else None)
    show_sums(console, done)
    return done


def _await(outcomes: "Outcomes", replay: "Replay", bar: "ReplayBar") -> None:
    """Wait until every frame that was sent has an outcome."""
    heard_s = time.monotonic()
    while (ended := outcomes.ended).total() < len(replay.places):
        bar.awaited(ended)
        if outcomes.read(_POLL_S, replay.places):
            heard_s = time.monotonic()
        elif time.monotonic() - heard_s > _PATIENCE_S:
            bar.waiting(f"no outcome for {_PATIENCE_S:.0f} s: do detection, depth and join run?")


def _read(kafka: "KafkaSettings") -> "Cases":
    """Everything that is in the topic now."""
    from framefuse.cli.bars import reading_bar
    from framefuse.dead_letters.reading import DeadLetterTopic

    with (
        DeadLetterTopic(kafka) as letters,
        reading_bar("letters", more_than=_SHOW_PROGRESS_AFTER) as progress,
    ):
        cases = letters.cases(progress)
    if cases.unreadable:
        Console(stderr=True).print(f"{cases.unreadable} records of the topic are no letters.", style="yellow")
    return cases


def _select(
    kafka: "KafkaSettings", cases: "Cases", selection: "Selection", *, everything: bool
) -> "list[Case]":
    """The cases that are meant, oldest first.

    Raises:
        BadInput: a letter or a stage that is named is nowhere.
    """
    from framefuse import plugins
    from schemas.topics import DEAD_LETTERS

    selection.check_known(cases, DEAD_LETTERS.name(kafka.prefix), plugins.names(plugins.STAGES))
    return [case for case in cases if selection.takes(case) and (everything or case.open)]


def _selection(
    stage: str | None, error: str | None, since: str | None, topic: str | None, offset: str | None
) -> "Selection":
    from framefuse.cli.moments import moment
    from framefuse.dead_letters.cases import Selection, offsets

    return Selection(
        stage=stage,
        error=error,
        since=moment(since, datetime.now(UTC)) if since else None,
        topic=topic,
        offsets=offsets(offset) if offset else None,
    )


def _kafka(bootstrap: str | None, prefix: str | None) -> "KafkaSettings":
    from framefuse.settings import KafkaSettings, load

    return load(KafkaSettings, bootstrap=bootstrap, prefix=prefix)


def _ask(what: str, verb: str, adverb: str = "") -> None:
    """Go on only if the user says so.

    Raises:
        BadInput: there is nobody to ask.
    """
    if not sys.stdin.isatty():
        raise BadInput(f"{what} are many to {verb} without being asked: say --yes")
    typer.confirm(f"{verb.capitalize()} {what}{adverb and f' {adverb}'}?", abort=True)
