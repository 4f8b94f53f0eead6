"""The commands and their options; what they do is in `listing.py`, `checking.py` and `hub.exporting`.

Imports nothing heavy: `framefuse --help` reads this file.
"""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framefuse.cli.model_options import Head, Input, MapKind, MapUnit, Mean, Resize, Std
from framefuse.cli.options import AsJson

if TYPE_CHECKING:
    from processors.model_files.fetching import FetchOptions

EXIT_UNUSABLE = 1
_HELP = """The models: what there is, whether one can be used, and how one becomes an ONNX file.

[cyan]framefuse models list[/cyan]

[cyan]framefuse models check yolo11n.onnx[/cyan]

[cyan]framefuse models export depth-anything/Depth-Anything-V2-Small-hf --to depth.onnx[/cyan]
"""
app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="rich", help=_HELP)


class OfStage(StrEnum):
    """The stages that have a model."""

    DETECTION = "detection"
    DEPTH = "depth"


MaxMb = Annotated[int | None, typer.Option(min=1, help="A larger one is not fetched; 4000 by default.")]
TrustPickle = Annotated[
    bool | None,
    typer.Option("--trust-pickle", help="Take pickled weights too, which run code of whoever made them."),
]
Address = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="A path, s3://, gs://, az://, https:// or a Hugging Face id; #sha256:… behind it is a pin.",
        show_default=False,
    ),
]
ForStage = Annotated[
    OfStage | None, typer.Option("--stage", help="What it is for; otherwise what the file says.")
]
Provider = Annotated[
    str | None, typer.Option(help="auto, cpu, cuda or tensorrt; what does not really work is an error.")
]
Runtime = Annotated[
    str | None, typer.Option(help="onnx or torch, where an address has both.", show_default=False)
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads inside the model; 1 by default.")]
Runs = Annotated[int, typer.Option(min=1, max=10_000, help="Runs that are timed, after one that is not.")]


@app.command(name="list")
def list_models(*, as_json: AsJson = False) -> None:
    """The demo models, and what was fetched into the cache: from where, size, and the pin for behind it.

    [cyan]framefuse models list[/cyan]

    [cyan]framefuse models list --json | jq -r '.cached[] | .address + "#sha256:" + .sha256'[/cyan]
    """
    from processors.models_command import listing

    found = listing.everything()
    if as_json:
        typer.echo(json.dumps(listing.as_dict(found)))
    else:
        listing.show(found)


@app.command()
def check(
    file: Address,
    *,
    stage: ForStage = None,
    provider: Provider = None,
    runtime: Runtime = None,
    threads: Threads = None,
    runs: Runs = 10,
    as_json: AsJson = False,
    trust_pickle: TrustPickle = None,
    model_max_mb: MaxMb = None,
    head: Head = None,
    resize: Resize = None,
    mean: Mean = None,
    std: Std = None,
    map_kind: MapKind = None,
    map_unit: MapUnit = None,
    input: Input = None,  # noqa: A002 - the name of the option
) -> None:
    """Open a model as a stage would, say what it is, and time it.

    Family, inputs, outputs, classes, sha256 and the provider that really runs. What is said here is said to
    [cyan]framefuse run[/cyan] in the same words; settings such as FRAMEFUSE_DETECTION_HEAD count here too.

    Exit status: 0 usable · 1 not usable, and why · 2 there is no such file, or it cannot be fetched.

    [cyan]framefuse models check yolo11n.onnx[/cyan]

    [cyan]framefuse models check s3://models/depth.onnx --provider cuda --runs 100[/cyan]

    [cyan]framefuse models check midas.onnx --map-kind RELATIVE_INVERSE --input imagenet[/cyan]
    """
    from processors.model_files.addresses import parse
    from processors.models_command import checking, report

    parse(file)
    detection = {"head": head, "resize": resize, "mean": mean, "std": std}
    depth = {"map_kind": map_kind, "map_unit": map_unit, "input": input}
    flags = {"model": file, "provider": provider, "runtime": runtime, "threads": threads} | {
        "trust_pickle": trust_pickle,
        "model_max_mb": model_max_mb,
    }
    wish = checking.Wish(stage and stage.value, flags, detection, depth, runs)
    found = checking.check(wish)
    if as_json:
        typer.echo(json.dumps(report.as_dict(found)))
    else:
        report.show(found)
    if isinstance(found, checking.Unusable):
        raise typer.Exit(EXIT_UNUSABLE)


@app.command()
def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="HF_ID_OR_FOLDER",
            help="owner/name of Hugging Face, or a folder with config.json and safetensors.",
            show_default=False,
        ),
    ],
    *,
    to: Annotated[Path, typer.Option(metavar="FILE.onnx", help="Where to write it.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: AsJson = False,
    trust_pickle: TrustPickle = None,
    model_max_mb: MaxMb = None,
) -> None:
    r"""Write a Depth Anything of Hugging Face as an ONNX file, which then runs without torch.

    The file is free in batch and size, holds its weights, and says what it is: no setting is needed with it.
    The export needs torch: where that is missing, it says which command installs it.

    [cyan]framefuse models export depth-anything/Depth-Anything-V2-Small-hf --to depth.onnx[/cyan]

    [cyan]framefuse models export ./my-depth-anything --to models/depth.onnx --force[/cyan]
    """
    from rich.console import Console
    from rich.markup import escape

    from framefuse.cli.bars import waiting_for
    from framefuse.errors import BadInput
    from processors.hub.exporting import export as write
    from processors.model_files.hashing import file_sha256
    from processors.models_command.bars import fetching_bar

    if to.exists() and not force:
        raise BadInput(f"{to} is there already: give another --to, or --force to write over it")
    with fetching_bar(), waiting_for("exporting") as told:
        told(source)
        written = write(source, to, _fetching(model_max_mb, trust_pickle=bool(trust_pickle)))
    sha256, size_bytes = file_sha256(written), written.stat().st_size
    if as_json:
        typer.echo(json.dumps({"path": str(written), "sha256": sha256, "size_bytes": size_bytes}))
        return
    console, path = Console(soft_wrap=True, highlight=False), escape(str(written))
    console.print(f"[green]written[/]: {path}, {size_bytes / 1e6:.1f} MB, sha256 {sha256}")
    console.print(f"next: framefuse models check {path} · framefuse run depth --model {path}")


def _fetching(model_max_mb: int | None, *, trust_pickle: bool) -> "FetchOptions":
    from processors.model_files.fetching import FetchOptions
    from processors.model_files.model import DEFAULT_MAX_BYTES

    most = DEFAULT_MAX_BYTES if model_max_mb is None else model_max_mb * 10**6
    return FetchOptions(trust_pickle=trust_pickle, max_bytes=most)
