"""Shows what `checking.py` found: some lines for people, or one object for scripts."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from processors.models_command.checking import Unusable, Usable
from processors.models_command.listing import size_of
from processors.models_command.wrapping import print_whole

_MOST_CLASSES = 12
_NAME_WIDTH = len("pictures")


def show(found: Usable | Unusable) -> None:
    """Print it; why a model cannot be used goes to stderr, in red."""
    if isinstance(found, Unusable):
        reason = escape(found.reason).replace("\n", "\n  ")
        print_whole(Console(stderr=True, highlight=False), f"[bold red]unusable[/]: {reason}")
        return
    console = Console(highlight=False)
    head = f"[green]usable[/]: {escape(found.about.model.identity.name)}, for {found.stage}"
    print_whole(console, f"{head}, {escape(found.about.family)}\n")
    # By itself, as a table would break a long address into pieces that nobody can copy.
    print_whole(console, f"[dim]{'from':<{_NAME_WIDTH}}[/]  {escape(found.file.address)}")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True, min_width=_NAME_WIDTH)
    table.add_column(overflow="fold")
    for name, text in _rows(found):
        table.add_row(name, escape(text))
    console.print(table)


def as_dict(found: Usable | Unusable) -> dict[str, Any]:
    """Plain values, for JSON."""
    if isinstance(found, Unusable):
        return {"usable": False, "address": found.address, "reason": found.reason}
    about, anatomy, shape = found.about, found.anatomy, found.about.model.input
    model = about.model
    return {
        "usable": True,
        "stage": found.stage,
        "runtime": found.runtime,
        "family": about.family,
        "name": model.identity.name,
        "sha256": model.identity.sha256,
        "provider": model.identity.provider,
        "provider_reason": model.reason,
        "address": found.file.address,
        "files": list(found.file.files),
        "size_bytes": found.size_bytes,
        "input": {
            "name": shape.name,
            "shape": [shape.batch, 3, shape.height, shape.width],
            "dtype": shape.dtype.__name__,
            "any_size": shape.any_size,
        },
        "outputs": [
            {"name": name, "shape": list(size)}
            for name, size in zip(model.output_names, model.output_shapes, strict=True)
        ],
        "classes": None if about.classes is None else {str(key): name for key, name in about.classes.items()},
        "stride": about.stride,
        "pictures": about.pictures,
        "opsets": None if anatomy is None else dict(anatomy.opsets),
        "precision": None if anatomy is None else anatomy.precision,
        "producer": None if anatomy is None else anatomy.producer,
        "threads": found.threads,
        "runs": {
            "count": len(found.runs_ms),
            "pictures": shape.batch or 1,
            "p50_ms": round(found.p50_ms, 3),
            "min_ms": round(min(found.runs_ms), 3),
        },
    }


def _rows(found: Usable) -> list[tuple[str, str]]:
    about, model = found.about, found.about.model
    shape = model.input
    size = f"{'N' if shape.batch is None else shape.batch}×3×{shape.height}×{shape.width}"
    free = ", other sizes too" if shape.any_size else ""
    outputs = zip(model.output_names, model.output_shapes, strict=True)
    rows = [
        ("sha256", model.identity.sha256),
        ("files", f"{', '.join(found.file.files)} ({size_of(found.size_bytes)})"),
        ("input", f"{shape.name} {size} {shape.dtype.__name__}{free}"),
        ("outputs", ", ".join(f"{name} {'×'.join(map(str, sizes))}" for name, sizes in outputs)),
    ]
    if found.stage == "detection":
        rows.append(("classes", _classes(found)))
    if about.stride is not None:
        rows.append(("stride", str(about.stride)))
    rows.append(("pictures", about.pictures))
    if found.anatomy is not None:
        opset = found.anatomy.opsets.get("", 0)
        by = f", by {found.anatomy.producer}" if found.anatomy.producer else ""
        rows.append(("weights", f"{found.anatomy.precision}, opset {opset}{by}"))
    threads = f"{found.threads} thread{'s' if found.threads > 1 else ''}"
    rows.append(("provider", f"{model.identity.provider}, {threads}: {model.reason}"))
    many = f"{shape.batch or 1} picture{'s' if (shape.batch or 1) > 1 else ''}"
    speed = f"p50 {_ms(found.p50_ms)}, min {_ms(min(found.runs_ms))} of {len(found.runs_ms)} runs"
    rows.append(("speed", f"{speed} with {many}"))
    return rows


def _ms(taken_ms: float) -> str:
    return f"{taken_ms:.1f} ms" if taken_ms >= 10 else f"{taken_ms:.2f} ms"


def _classes(found: Usable) -> str:
    classes = found.about.classes
    if not classes:
        return "without names: results say class 0, class 1, …"
    names = [classes[number] for number in sorted(classes)]
    more = f", … and {len(names) - _MOST_CLASSES} more" if len(names) > _MOST_CLASSES else ""
    return f"{len(names)}: {', '.join(names[:_MOST_CLASSES])}{more}"
