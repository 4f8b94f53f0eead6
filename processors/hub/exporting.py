"""From the folder of a Hugging Face model to one ONNX file that says what it is, free in all sizes.

The file carries the same metadata as the folder has on torch, so a stage reads both alike. Whoever exports
needs torch; whoever runs the file does not.
"""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path

from framefuse.errors import BadInput, ModelUnusable
from processors.hub.families import Family, family_of
from processors.hub.folder import HubFolder, read_folder
from processors.hub.loading import network_of, torch_for
from processors.model_files.addresses import parse, shown
from processors.model_files.fetching import FetchOptions, fetch_folder

OPSET = 18
_EXAMPLE_PATCHES = (5, 7)
"""Rows and columns of the picture it is traced with; unlike, so that neither is taken for the other."""


def export(source: str, to: Path, options: FetchOptions | None = None) -> Path:
    """Write a model of Hugging Face as an ONNX file.

    Args:
        source: folder or repository with `config.json` and safetensors.
        to: the file; what is there is replaced, once the new one is whole.
        options: for the fetching; whether a pickle is trusted too.

    Returns:
        `to`.

    Raises:
        BadInput: the name of `to` does not end with .onnx.
        ModelUnusable: torch is not installed, the model is not exported, or `to` cannot be written.
    """
    if to.suffix != ".onnx":
        raise BadInput(f"{to} is no name for an ONNX file: let it end with .onnx")
    torch_for(f"the export of {shown(parse(source))}", "onnx", "onnxscript")
    folder = read_folder(fetch_folder(source, options))
    family = family_of(folder)
    if not family.exported:
        raise ModelUnusable(f"{folder.name} is a {family.model_type}, which is not exported: run it on torch")
    about = {**family.describe(folder), "source": folder.name, "source_sha256": folder.sha256}
    unfinished = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        _write(folder, family, unfinished)
        _describe(unfinished, about)
        unfinished.replace(to)
    except OSError as error:
        raise ModelUnusable(f"cannot write {to}: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return to


def _write(folder: HubFolder, family: Family, path: Path) -> None:
    import torch

    step = family.free_sides
    if step is None:
        raise ModelUnusable(f"{folder.name} takes one size only: models of free size are exported")
    rows, columns = _EXAMPLE_PATCHES
    free = {
        0: torch.export.Dim("batch", min=1),
        2: step * torch.export.Dim("rows", min=1),
        3: step * torch.export.Dim("columns", min=1),
    }
    network = network_of(folder, family)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch's own code; what goes wrong raises
        torch.onnx.export(
            network,
            (torch.zeros(2, 3, rows * step, columns * step),),
            str(path),
            input_names=["pixel_values"],
            output_names=list(family.outputs),
            dynamic_shapes=(free,),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _describe(path: Path, about: Mapping[str, str]) -> None:
    import onnx

    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(about))
    onnx.checker.check_model(model)
    onnx.save(model, path)
