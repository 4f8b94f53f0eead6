"""`framefuse doctor`: a line a subject, and under each that is not well the command that mends it."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

from framefuse.cli.options import AsJson, Bootstrap, Prefix
from framefuse.terminal import printable

if TYPE_CHECKING:
    from framefuse.doctor.findings import Finding, Scene

EXIT_UNWELL = 1
_COLOUR = {"ok": "green", "warning": "yellow", "problem": "bold red", "not asked": "dim"}
_SUBJECT_WIDTH = 17
_STATUS_WIDTH = 9


def doctor(*, as_json: AsJson = False, bootstrap: Bootstrap = None, prefix: Prefix = None) -> None:
    """Look at everything a pipeline stands on: each line ok, or with the command that mends it.

    Java, the broker, topics, partition counts, limits, retention, group ids, workers, clocks, models,
    execution providers and disk. Changes nothing, but for one schema that is announced once more to read the
    broker's clock. Exit status 0 when nothing is a problem, 1 when something is.

    [cyan]framefuse doctor[/cyan]

    [cyan]framefuse doctor --json | jq -r '.findings[] | select(.status == "problem") | .mend'[/cyan]
    """
    from framefuse.doctor.findings import Status

    scene = _scene(bootstrap, prefix)
    findings = _examined(scene, quiet=as_json)
    unwell = any(one.status is Status.PROBLEM for one in findings)
    if as_json:
        print(json.dumps(_as_dict(findings, scene)))
    else:
        _show(Console(highlight=False), findings, scene)
    if unwell:
        raise typer.Exit(EXIT_UNWELL)


def _scene(bootstrap: str | None, prefix: str | None) -> "Scene":
    from framefuse.doctor.findings import Scene
    from framefuse.errors import BrokerUnavailable
    from framefuse.kafka import resolve_bootstrap
    from framefuse.settings import KafkaSettings, load

    kafka = load(KafkaSettings, bootstrap=bootstrap, prefix=prefix)
    try:
        return Scene(kafka, resolve_bootstrap(kafka))
    except BrokerUnavailable:
        return Scene(kafka, None)


def _examined(scene: "Scene", *, quiet: bool) -> "list[Finding]":
    from framefuse.cli.bars import waiting_for
    from framefuse.doctor.examination import examine

    with waiting_for("looking at", quiet=quiet) as told:
        return examine(scene, told)


def _show(console: Console, findings: "Sequence[Finding]", scene: "Scene") -> None:
    where = scene.bootstrap or "no broker"
    console.print(f"[bold]{escape(scene.kafka.prefix)}[/] at {escape(where)}\n", soft_wrap=True)
    indent = _STATUS_WIDTH + 2 + _SUBJECT_WIDTH + 2
    for one in findings:
        status = f"[{_COLOUR[one.status]}]{one.status.value:<{_STATUS_WIDTH}}[/]"
        head = f"{status}  {escape(printable(one.subject)):<{_SUBJECT_WIDTH}}  "
        lines = _wrapped(one.found, console.width - indent)
        console.print(f"{head}{escape(printable(lines[0]))}", soft_wrap=True)
        for line in lines[1:]:
            console.print(f"{' ' * indent}{escape(printable(line))}", soft_wrap=True)
        if one.mend:
            console.print(f"{' ' * indent}→ [cyan]{escape(printable(one.mend))}[/]", soft_wrap=True)
    counts = Counter(one.status.value for one in findings)
    order = [f"{counts[name]} {name}" for name in _COLOUR if counts[name]]
    console.print(f"\n{', '.join(order)}")


def _wrapped(text: str, width: int) -> list[str]:
    from textwrap import wrap

    return wrap(text, max(width, 20), break_long_words=False, break_on_hyphens=False) or [""]


def _as_dict(findings: "Sequence[Finding]", scene: "Scene") -> dict[str, object]:
    counts = Counter(one.status.value for one in findings)
    return {
        "well": not counts["problem"],
        "prefix": scene.kafka.prefix,
        "bootstrap": scene.bootstrap,
        "counts": dict(counts),
        "findings": [
            {"subject": one.subject, "status": one.status.value, "found": one.found, "mend": one.mend or None}
            for one in findings
        ],
    }
