"""Options for a model file that does not tell what it is, the same words in every command."""

from typing import Annotated

import typer

_SAID = "For a file that does not tell"
Head = Annotated[
    str | None,
    typer.Option(help="Layout of a detector's outputs, such as yolov8 or detr.", rich_help_panel=_SAID),
]
Resize = Annotated[
    str | None, typer.Option(help="letterbox, stretch or stretch-smooth.", rich_help_panel=_SAID)
]
Mean = Annotated[str | None, typer.Option(help="Of a detector, as 0.485,0.456,0.406.", rich_help_panel=_SAID)]
Std = Annotated[str | None, typer.Option(help="Of a detector, as 0.229,0.224,0.225.", rich_help_panel=_SAID)]
MapKind = Annotated[str | None, typer.Option(help="RELATIVE_INVERSE or METRIC.", rich_help_panel=_SAID)]
MapUnit = Annotated[str | None, typer.Option(help="Of METRIC: m.", rich_help_panel=_SAID)]
Input = Annotated[
    str | None,
    typer.Option(help="Of a depth model: plain, imagenet or depth-anything.", rich_help_panel=_SAID),
]
