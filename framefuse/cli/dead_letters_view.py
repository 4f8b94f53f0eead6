"""What `framefuse dead-letters` shows. Results go to stdout, progress and notices to stderr."""

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from framefuse.dead_letters.cases import Case, Letter, only
from framefuse.terminal import printable, printable_lines, watched
from schemas.records import DeadLetter, Frame, Outcome

_HEX_BYTES = 64
_FRAME_LETTERS = 32
_MESSAGE_LETTERS = 200
_UNSENT_NAMED = 5


def show_table(console: Console, cases: Sequence[Case], limit: int) -> None:
    """The sums by stage and error, then the latest `limit` cases."""
    if not cases:
        console.print("No dead letters that are open; --all shows those sent again or dismissed, too.")
        return
    _show_reasons(console, cases)
    table = Table(box=None, header_style="dim", pad_edge=False, expand=True)
    table.add_column("letter", no_wrap=True, width=6)
    table.add_column("when", no_wrap=True, width=14)
    places = [len(_named(case.last)) for case in cases[-limit:] if case.last.frame is None]
    width = max(min(_FRAME_LETTERS, console.width // 5), *places, 0)  # half an offset is none
    table.add_column("record", no_wrap=True, width=width)
    table.add_column("given up by, and why", no_wrap=True, ratio=1)
    for case in cases[-limit:]:
        last = case.last
        when = f"{last.written_at.astimezone():%m-%d %H:%M:%S}"
        table.add_row(str(last.id), when, Text(_named(last)), _why(case))
    console.print(table)
    if len(cases) > limit:
        console.print(f"… and {len(cases) - limit:,} before these: --limit {len(cases)}", style="dim")


def show_letter(console: Console, letter: Letter, raw: DeadLetter) -> None:
    """One letter, field by field."""
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    rows = {
        "record": f"{letter.origin}, {letter.size_bytes:,} bytes",
        "appended": raw.timestamp.isoformat(),
        "given up by": f"{letter.stage}, framefuse {letter.version}, {letter.written_at.isoformat()}",
        "error": f"{letter.error}: {letter.message}",
        "attempt": str(letter.attempt),
        "key": repr(raw.key),
        **{f"header {header.name}": repr(header.value) for header in raw.headers},
    }
    frame = letter.frame
    if frame is None:
        rows["no frame"] = letter.obstacle or ""
        rows["begins with"] = (raw.value or b"")[:_HEX_BYTES].hex(" ")
    else:
        rows |= {
            "frame": frame.frame_id,
            "stream": f"{frame.stream_id} #{frame.sequence}, run {frame.run_id}",
            "captured": frame.captured_at.isoformat(),
            "picture": f"{frame.encoding}, {frame.width}×{frame.height}, {'live' if frame.live else 'file'}",
        }
    for name, text in rows.items():
        table.add_row(Text(printable(name)), Text(printable_lines(text)))
    console.print(table)


def _why(case: Case) -> Text:
    """Who gave up on it and for which error; its message on a line of its own, as far as there is room."""
    stages = ", ".join(letter.stage for letter in case.letters)
    message = printable(_shortened(case.last.message, _MESSAGE_LETTERS))
    head = printable(f"{stages}: {case.last.error}")
    return Text.assemble(head, *_attempts(case), "\n", (message, "dim"))


def _attempts(case: Case) -> list[tuple[str, str]]:
    """What is to be said beside the error of a frame that was sent more than once."""
    words = [f"attempt {case.attempt}"] if case.attempt else []
    words += [f"sent again as {case.sent_again_as}"] if case.sent_again_as > case.attempt else []
    words += ["dismissed"] if case.dismissed >= case.attempt else []
    return [(f" ({', '.join(words)})", "yellow")] if words else []


def show_plan(console: Console, cases: Sequence[Case], sendable: Sequence[Case]) -> None:
    """What a replay is about to do, and what it cannot do."""
    if not cases:
        console.print("No dead letters to send again.")
        return
    if sendable:
        _show_reasons(console, sendable)
    obstacles = Counter(case.last.obstacle for case in cases if case.last.frame is None)
    for obstacle, count in obstacles.most_common():
        console.print(f"[yellow]{count:,} cannot be sent:[/yellow] {escape(printable(obstacle or ''))}")


def show_unsent(console: Console, cases: Sequence[Case], everyone: Sequence[Case], flags: str) -> None:
    """Why a replay was not whole: how many open cases are no frames, which, and what closes them."""
    unsent = [case for case in cases if case.last.frame is None and case.open]
    if not unsent:
        return
    named = ", ".join(str(case.last.id) for case in unsent[:_UNSENT_NAMED])
    more = ", …" if len(unsent) > _UNSENT_NAMED else ""
    letters, them = ("letter", "it") if len(unsent) == 1 else ("letters", "them")
    option = only(unsent, [case for case in everyone if case.open])
    closes = f"dismisses {them}" if option else "dismisses one"
    command = f"framefuse dead-letters dismiss {option or '--offset N'}{flags}"
    console.print(
        f"{len(unsent):,} cannot be sent ({letters} {named}{more}): '{command}' {closes}",
        style="yellow",
        markup=False,
        soft_wrap=True,
    )


def show_dismissed(console: Console, cases: Sequence[Case], *, dry_run: bool) -> None:
    """What was dismissed, or would be."""
    if cases:
        _show_reasons(console, cases)
    would = "Would be dismissed" if dry_run else "Dismissed"
    console.print(f"{would}: {len(cases):,}. 'framefuse dead-letters list --all' still has them.")


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a replay."""

    sent: int = 0
    """Frames that are in the topic again."""
    refused: Sequence[str] = ()
    """What the broker said of the others."""
    outcomes: Mapping[Outcome, int] | None = None
    """Of those that were sent, where they were waited for."""

    def complete_for(self, cases: Sequence[Case]) -> bool:
        """Whether all are in the topic and, where they were waited for, became results."""
        ended = self.outcomes or {}
        return self.sent == len(cases) and not ended.get(Outcome.DEAD_LETTER, 0) + ended.get(Outcome.LOST, 0)


def show_sums(console: Console, done: Replayed) -> None:
    """The last words of a replay."""
    console.print(f"{done.sent:,} frame{'' if done.sent == 1 else 's'} sent again.")
    for reason, count in Counter(done.refused).items():
        console.print(f"[red]{count:,} refused by the broker:[/red] {escape(printable(reason))}")
    if done.outcomes:
        console.print(_outcomes_in_words(done.outcomes))


def replayed_as_dict(cases: Sequence[Case], done: Replayed, *, dry_run: bool) -> dict[str, object]:
    """A replay for scripts."""
    cannot = [case for case in cases if case.last.frame is None]
    found = (
        None if done.outcomes is None else {name.value.lower(): n for name, n in done.outcomes.items() if n}
    )
    return {
        "dry_run": dry_run,
        "cases": len(cases),
        "cannot_be_sent": [{"letter": str(one.last.id), "obstacle": one.last.obstacle} for one in cannot],
        "sent": done.sent,
        "refused": list(done.refused),
        "outcomes": found,
    }


class ReplayBar:
    """Shows how a replay goes, in a terminal; what it waits for is said everywhere. A context manager."""

    def __init__(self, total: int) -> None:
        self._console = Console(stderr=True, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(
            *columns, console=self._console, transient=True, disable=not watched(self._console)
        )
        self._task = self._bar.add_task("sending", total=total)
        self._said: str | None = None

    def sent(self) -> None:
        """One frame more."""
        self._bar.advance(self._task)

    def waiting(self, why: str | None) -> None:
        """What the next frame waits for; said once."""
        if why is not None and why != self._said:
            self._console.print(why, style="dim", markup=False)
        self._said = why or self._said

    def awaited(self, ended: Mapping[Outcome, int]) -> None:
        """The outcomes so far."""
        self._bar.update(self._task, description="waiting for outcomes", completed=sum(ended.values()))

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()


def as_dict(case: Case) -> dict[str, object]:
    """A case for scripts: its frame, and each letter about it."""
    return {
        "letter": str(case.last.id),
        "open": case.open,
        "attempt": case.attempt,
        "sent_again_as": case.sent_again_as or None,
        "dismissed": case.dismissed >= case.attempt,
        "frame": _frame_as_dict(case.last.frame),
        "obstacle": case.last.obstacle,
        "letters": [_letter_as_dict(letter) for letter in case.letters],
    }


def letter_as_dict(letter: Letter, raw: DeadLetter) -> dict[str, object]:
    """One letter for scripts, without its value."""
    return {
        **_letter_as_dict(letter),
        "timestamp": raw.timestamp.isoformat(),
        "key": _text(raw.key),
        "headers": {header.name: _text(header.value) for header in raw.headers},
        "frame": _frame_as_dict(letter.frame),
        "obstacle": letter.obstacle,
    }


def _letter_as_dict(letter: Letter) -> dict[str, object]:
    return {
        "letter": str(letter.id),
        "written_at": letter.written_at.isoformat(),
        "topic": letter.origin.topic,
        "partition": letter.origin.partition,
        "offset": letter.origin.offset,
        "stage": letter.stage,
        "error": letter.error,
        "message": letter.message,
        "version": letter.version,
        "attempt": letter.attempt,
        "size_bytes": letter.size_bytes,
    }


def _frame_as_dict(frame: Frame | None) -> dict[str, object] | None:
    if frame is None:
        return None
    return {
        "frame_id": frame.frame_id,
        "stream_id": frame.stream_id,
        "run_id": frame.run_id,
        "sequence": frame.sequence,
        "captured_at": frame.captured_at.isoformat(),
        "width": frame.width,
        "height": frame.height,
        "encoding": frame.encoding.value,
        "live": frame.live,
    }


def _show_reasons(console: Console, cases: Sequence[Case]) -> None:
    plural = "" if len(cases) == 1 else "s"
    console.print(f"[bold]{len(cases):,} record{plural}[/bold]")
    reasons = Counter((letter.stage, letter.error) for case in cases for letter in case.letters)
    for (stage, error), count in reasons.most_common():
        console.print(f"  {count:,} × {escape(printable(f'{error} in {stage}'))}")


def _outcomes_in_words(ended: Mapping[Outcome, int]) -> str:
    return ", ".join(f"{count:,} {outcome.value.lower()}" for outcome, count in ended.items() if count)


def _named(letter: Letter) -> str:
    """The frame by stream and sequence; else the record by its place, without the prefix of its topic."""
    frame = letter.frame
    name = f"{frame.stream_id} #{frame.sequence}" if frame else str(letter.origin).rpartition(".")[2]
    return printable(name)


def _shortened(text: str, length: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _text(value: bytes | None) -> str | None:
    """Bytes as text where they are text, else in base64."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return b64encode(value).decode("ascii")
