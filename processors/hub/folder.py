"""The folder of a Hugging Face model: what its JSON files say, and which weights belong to it.

Reads files only: no torch, no network, and nothing in it is ever executed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framefuse.errors import ModelUnusable
from processors.model_files.model import LocalModel

_CONFIG, _PICTURES = "config.json", "preprocessor_config.json"


@dataclass(frozen=True, slots=True)
class HubFolder:
    """A model as `save_pretrained` leaves it."""

    path: Path
    name: str
    """As results call it: the folder's own name, or owner/name."""
    config: Mapping[str, Any]
    """Of `config.json`."""
    pictures: Mapping[str, Any]
    """Of `preprocessor_config.json`: how a picture becomes the model's input; empty where it has none."""
    pickled: bool
    """Its weights are a pickle, and the user trusts it."""
    sha256: str
    """Of the files that make it."""

    @property
    def model_type(self) -> str:
        """What `transformers` calls its architecture, such as depth_anything."""
        return str(self.config.get("model_type", ""))


def read_folder(model: LocalModel) -> HubFolder:
    """Read what a folder says that `fetch_folder` brought, which has refused pickles that nobody trusts.

    Raises:
        ModelUnusable: its configuration is missing or broken.
    """
    folder = model.path
    return HubFolder(
        folder,
        model.name,
        _json(folder / _CONFIG),
        _json(folder / _PICTURES) if _PICTURES in model.files else {},
        pickled=not any(name.endswith(".safetensors") for name in model.files),
        sha256=model.sha256,
    )


def _json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise ModelUnusable(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelUnusable(f"{path} holds a {type(content).__name__}, expected an object")
    return content
