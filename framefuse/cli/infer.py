"""`framefuse infer` and its options.

What happens is in `framefuse.runtime.inline`, what is shown in `infer_view`.
"""

import logging
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from framefuse.cli.model_options import Head, Input, MapKind, MapUnit, Mean, Resize, Std
from framefuse.cli.options import AsJson

_MODELS = "Models"


class OneStage(StrEnum):
    """A side of the pipeline."""

    DETECTION = "detection"
    DEPTH = "depth"


Images = Annotated[
    list[Path],
    typer.Argument(
        metavar="IMAGE...", help="JPEG, PNG or WEBP files, folders or quoted globs.", show_default=False
    ),
]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Look into the folders of a folder.")]
Save = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write each picture with its objects and depth into this folder."),
]
OnlyStage = Annotated[OneStage | None, typer.Option("--stage", help="Run this side only.")]
WithMap = Annotated[
    bool, typer.Option("--with-map", help="With --json: the depth map's 16-bit PNG too, in base64.")
]
_ADDRESS = "A path, s3://, gs://, az://, https:// or a Hugging Face id; the demo model by default."
DetectionModel = Annotated[str | None, typer.Option(help=_ADDRESS, rich_help_panel=_MODELS)]
DepthModel = Annotated[str | None, typer.Option(help=_ADDRESS, rich_help_panel=_MODELS)]
Confidence = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Lowest score that counts.", rich_help_panel=_MODELS),
]
Iou = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Overlap of two boxes above which one goes.", rich_help_panel=_MODELS),
]
Classes = Annotated[
    str | None,
    typer.Option(
        metavar="LABEL,…", help="What counts, by label or number; all by default.", rich_help_panel=_MODELS
    ),
]
Provider = Annotated[str | None, typer.Option(help="auto, cpu, cuda or tensorrt.", rich_help_panel=_MODELS)]
TrustPickle = Annotated[
    bool | None,
    typer.Option(
        "--trust-pickle",
        help="Take pickled weights too, which run code of whoever made them.",
        rich_help_panel=_MODELS,
    ),
]


class InferCommand(TyperCommand):
    """Says of an option that only `run` has which variable does the same here."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as the base class has it
        """The same, with another message."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            option = getattr(error, "option_name", None)
            variables = _variables(option) if isinstance(option, str) else []
            if variables:
                error.message = f"No such option: {option}: say it as {' or '.join(variables)}."  # type: ignore[attr-defined]  # of click's NoSuchOption
                error.possibilities = []  # type: ignore[attr-defined]
            raise


def _variables(option: str) -> list[str]:
    """Those of the stages for what `run` has as this option."""
    from framefuse.plugins import load_stage

    field = option.removeprefix("--").replace("-", "_")
    kinds = [load_stage(name).settings for name in OneStage]
    return [
        f"{kind.model_config['env_prefix']}{field.upper()}" for kind in kinds if field in kind.model_fields
    ]


def infer(
    images: Images,
    *,
    recursive: Recursive = False,
    as_json: AsJson = False,
    with_map: WithMap = False,
    save: Save = None,
    stage: OnlyStage = None,
    detection_model: DetectionModel = None,
    depth_model: DepthModel = None,
    confidence: Confidence = None,
    iou: Iou = None,
    classes: Classes = None,
    provider: Provider = None,
    trust_pickle: TrustPickle = None,
    head: Head = None,
    resize: Resize = None,
    mean: Mean = None,
    std: Std = None,
    map_kind: MapKind = None,
    map_unit: MapUnit = None,
    input: Input = None,  # noqa: A002 - the name of the option
) -> None:
    """Find objects and depth in pictures, without Kafka.

    [cyan]framefuse infer photo.jpg --save looked-at/[/cyan]

    [cyan]framefuse infer photos/ 'scans/*.png' --json --confidence 0.5 | jq .objects[].label[/cyan]

    [cyan]framefuse infer photo.jpg --detection-model yolo11n.onnx --classes person,car[/cyan]

    Other settings of a stage are variables here, as FRAMEFUSE_DETECTION_MAX_DET and FRAMEFUSE_DEPTH_RUNTIME.

    Exit status: 0 all done · 1 some picture could not be done, the others are · 2 cannot begin, as when a
    file is not there.
    """
    from framefuse.cli.image_paths import image_paths
    from framefuse.cli.infer_view import Wanted, show
    from framefuse.runtime.inline import open_inline

    logging.getLogger("framefuse.model").setLevel(logging.WARNING)  # each result names its provider
    both: dict[str, object] = {"provider": provider, "trust_pickle": trust_pickle}
    flags: dict[str, dict[str, object]] = {
        OneStage.DETECTION: {
            "model": detection_model,
            "confidence": confidence,
            "iou": iou,
            "classes": classes,
            "head": head,
            "resize": resize,
            "mean": mean,
            "std": std,
            **both,
        },
        OneStage.DEPTH: {
            "model": depth_model,
            "map_kind": map_kind,
            "map_unit": map_unit,
            "input": input,
            **both,
        },
    }
    asked = {name: given for name, given in flags.items() if stage in (None, name)}
    paths = image_paths(images, recursive=recursive)
    failed = show(open_inline(asked), paths, Wanted(as_json, with_map, save))
    if failed:
        raise typer.Exit(1)
