"""What `framefuse infer` shows: a table or a line of JSON for each picture, and pictures in a folder.

Results go to stdout, what went wrong to stderr.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from framefuse.errors import BadInput, Poison, UnreadableImage
from framefuse.pictures.decoding import decode, decode_map, stats_of
from framefuse.pictures.overlay import draw, side_by_side
from framefuse.publishing.decisions import distinct, new_run_id, stream_id_from
from framefuse.results.plain import as_json
from framefuse.runtime.inline import NOT_ASKED, Inline, frame_of
from schemas.records import DepthKind, DepthMap, Fused, FusedObject, Model, Outcome, Timing

_DEMO = "demo-"
_DEMO_HINT = (
    "The demo models know drawn scenes only, what they say of a photograph means nothing: "
    "for those give --detection-model and --depth-model models of yours."
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How results are given."""

    as_json: bool
    with_map: bool
    save: Path | None


def show(inline: Inline, images: Sequence[Path], wanted: Wanted) -> int:
    """Look at each picture and show what was found.

    Returns:
        How many pictures could not be done.

    Raises:
        BadInput: the folder to save into cannot be written.
    """
    out, errors = Console(highlight=False), Console(stderr=True, soft_wrap=True, highlight=False)
    run_id, failed, hint = new_run_id(), 0, False
    names = distinct(stream_id_from(path.stem) for path in images)
    for sequence, (path, name) in enumerate(zip(images, names, strict=True)):
        try:
            image = _read(path)
            fused = inline.fuse(frame_of(image, stream_id=name, run_id=run_id, sequence=sequence))
        except Poison as error:
            errors.print(f"[bold red]error[/]: {escape(f'{path}: {error}')}")
            failed += 1
            continue
        if wanted.as_json:
            typer.echo(as_json(fused, path=str(path), with_map=wanted.with_map))
        else:
            _print(out, path, fused)
        if wanted.save is not None:
            errors.print(f"wrote {escape(str(_save(wanted.save, image, fused)))}")
        failed += fused.outcome is Outcome.DEAD_LETTER
        hint = hint or _by_demo(fused.detection_model) or _by_demo(fused.depth_model)
    if hint:
        errors.print(_DEMO_HINT)
    return failed


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableImage(f"cannot be read: {error.strerror}") from error


def _print(out: Console, path: Path, fused: Fused) -> None:
    out.print(f"[bold]{escape(str(path))}[/]  {fused.width}×{fused.height}")
    if fused.objects:
        out.print(_table(fused))
    elif fused.detection_model:
        out.print("no objects")
    out.print(f"[dim]{escape(_caption(fused))}[/]", soft_wrap=True)


def _table(fused: Fused) -> Table:
    table = Table(
        "object", *(Column(name, justify="right") for name in ("score", *_depth_columns(fused.map)))
    )
    table.add_column("left, top, right, bottom", justify="right")
    for found in fused.objects:
        box = found.box
        corners = (box.x_min, box.y_min, box.x_max, box.y_max)
        table.add_row(
            escape(found.label),
            f"{found.score:.2f}",
            *_depth_cells(found, fused.map),
            ", ".join(f"{corner:.0f}" for corner in corners),
        )
    return table


def _depth_columns(depth: DepthMap | None) -> tuple[str, ...]:
    if depth is None:
        return ()
    return ("distance" if depth.kind is DepthKind.METRIC else "nearness", "p10 – p90")


def _depth_cells(found: FusedObject, depth: DepthMap | None) -> tuple[str, ...]:
    if depth is None:
        return ()
    if found.depth is None:
        return "–", ""
    median, p10, p90 = found.depth.median, found.depth.p10, found.depth.p90
    if depth.kind is DepthKind.METRIC:
        return f"{median:.1f} {depth.unit}", f"{p10:.1f} – {p90:.1f}"
    return f"{median:.3g}", f"{p10:.3g} – {p90:.3g}"


def _caption(fused: Fused) -> str:
    gone = [missing for missing in fused.missing if not missing.reason.endswith(NOT_ASKED)]
    parts = [
        *_times("detection", fused.detection_timing),
        *_times("depth", fused.depth_timing),
        *([_map_line(fused.map)] if fused.map else []),
        *(f"no {missing.side.value.lower()}: {missing.reason}" for missing in gone),
    ]
    return " · ".join(parts)


def _times(side: str, timing: Timing | None) -> list[str]:
    if timing is None:
        return []
    whole_ms = timing.preprocess_ms + timing.inference_ms + timing.postprocess_ms
    return [f"{side} {whole_ms:.0f} ms (model {timing.inference_ms:.0f})"]


def _map_line(depth: DepthMap) -> str:
    stats = stats_of(decode_map(depth))
    unit = f" {depth.unit}" if depth.unit else ""
    return f"map {depth.width}×{depth.height}, {stats.minimum:.3g} to {stats.maximum:.3g}{unit}"


def _by_demo(model: Model | None) -> bool:
    return model is not None and model.name.startswith(_DEMO)


def _sides(fused: Fused) -> list[str]:
    """The sides that have a result, as a file name says it."""
    return [
        *(["objects"] if fused.detection_model else []),
        *(["depth"] if fused.map else []),
    ]


def _save(folder: Path, image: bytes, fused: Fused) -> Path:
    """Write the picture with its result: objects beside depth, or objects alone where there is no depth."""
    target = folder / f"{fused.stream_id}.{'-'.join(_sides(fused)) or 'nothing'}.png"
    picture = decode(image)
    title = f"framefuse · {fused.stream_id}"
    drawn = side_by_side(picture, fused, title) if fused.map else draw(picture, fused)
    _, png = cv2.imencode(".png", drawn)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target.write_bytes(png.tobytes())
    except OSError as error:
        raise BadInput(f"cannot write {target}: {error.strerror}; give --save a folder of yours") from error
    return target
