"""The folder of a Hugging Face model: what its JSON files say, and which weights belong to it.

Reads files only: no torch, no network, and nothing in it is ever executed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framefuse.errors import ModelUnusable
from processors.model_files.choice import torch_files
from processors.model_files.hashing import file_sha256, joint_sha256

_CONFIG, _PICTURES = "config.json", "preprocessor_config.json"


@dataclass(frozen=True, slots=True)
class HubFolder:
    """A model as `save_pretrained` leaves it."""

    path: Path
    name: str
    """As results call it: the folder's own name, or the id it was fetched by."""
    config: Mapping[str, Any]
    """Of `config.json`."""
    pictures: Mapping[str, Any]
    """Of `preprocessor_config.json`: how a picture becomes the model's input; empty where it has none."""
    pickled: bool
    """Its weights are a pickle, and the user trusts it."""
    sha256: str
    """Of the files that make it: of their lines `HASH  NAME`, sorted by name."""

    @property
    def model_type(self) -> str:
        """What `transformers` calls its architecture, such as depth_anything."""
        return str(self.config.get("model_type", ""))


def is_folder(path: Path) -> bool:
    """Whether this is such a folder, by its `config.json`."""
    return (path / _CONFIG).is_file()


def read_folder(path: Path, *, name: str | None = None, trust_pickle: bool = False) -> HubFolder:
    """Read what the folder says and hash what makes the model.

    Args:
        path: of the folder.
        name: for results; the folder's own by default.
        trust_pickle: take weights that are a pickle where there are no safetensors.

    Raises:
        ModelUnusable: the folder, its configuration or its weights are missing or broken, or the weights
            are a pickle that nobody trusts.
    """
    if not path.is_dir():
        raise ModelUnusable(f"no folder {path}: give the folder of a Hugging Face model, with {_CONFIG}")
    names = torch_files([one.name for one in path.iterdir()], str(path), trust_pickle=trust_pickle)
    return HubFolder(
        path,
        name or path.resolve().name,
        _json(path / _CONFIG),
        _json(path / _PICTURES) if _PICTURES in names else {},
        pickled=not any(one.endswith(".safetensors") for one in names),
        sha256=joint_sha256({one: file_sha256(path / one) for one in names}),
    )


def _json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise ModelUnusable(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelUnusable(f"{path} holds a {type(content).__name__}, expected an object")
    return content
