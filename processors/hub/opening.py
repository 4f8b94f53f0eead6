"""From an address to an open model, on the runtime that fits it: an ONNX file, or a folder on torch."""

from dataclasses import dataclass, field
from enum import StrEnum

from framefuse.errors import BadInput
from processors.hub.folder import read_folder
from processors.hub.loading import TorchModel
from processors.model_files.fetching import FetchOptions, LocalModel, fetch_file, fetch_folder, names_at
from processors.onnx import OnnxModel
from processors.onnx.tuning import Tuning
from processors.picture_model import PictureModel
from processors.providers import Provider

_WEIGHTS = (".safetensors", ".bin")


class Runtime(StrEnum):
    """What runs a model."""

    ONNX = "onnx"
    TORCH = "torch"


@dataclass(frozen=True, slots=True)
class Wish:
    """How a model shall run."""

    runtime: Runtime | None = None
    """None: as its files decide."""
    provider: Provider = Provider.AUTO
    threads: int = 1
    tuning: Tuning = field(default_factory=Tuning)
    """Of an ONNX file."""


def open_model(address: str, wish: Wish, options: FetchOptions | None = None) -> PictureModel:
    """Fetch a model and open it.

    Args:
        address: of an ONNX file, or of a folder or repository with `config.json` and safetensors.
        wish: how it shall run.
        options: for the fetching; whether a pickle is trusted too.

    Raises:
        BadInput: the address has both kinds of files, and `wish` does not say which.
        ModelUnusable: there is no such model, or it cannot be opened.
        ProviderUnavailable: the provider is not there.
    """
    return open_fetched(*fetch_for(address, wish.runtime, options), wish)


def open_fetched(
    runtime: Runtime, found: LocalModel, wish: Wish, *, size: tuple[int, int] | None = None
) -> PictureModel:
    """Open what `fetch_for` gave; `size` is that of an ONNX file's free input, as `OnnxModel` takes it.

    Raises:
        ModelUnusable, ProviderUnavailable: as `open_model`.
    """
    if runtime is Runtime.TORCH:
        return TorchModel(read_folder(found), wish.provider, threads=wish.threads)
    return OnnxModel(found, wish.provider, threads=wish.threads, size=size, tuning=wish.tuning)


def fetch_for(
    address: str, runtime: Runtime | None = None, options: FetchOptions | None = None
) -> tuple[Runtime, LocalModel]:
    """Fetch what a runtime needs of a model; without one, say which its files are for.

    Raises:
        BadInput, ModelUnusable: as `open_model`.
    """
    chosen = runtime or runtime_of(address, options)
    fetch = fetch_folder if chosen is Runtime.TORCH else fetch_file
    return chosen, fetch(address, options)


def runtime_of(address: str, options: FetchOptions | None = None) -> Runtime:
    """Which runtime the files at an address are for.

    Raises:
        BadInput: there are files for both.
        ModelUnusable: there is no such model.
    """
    if address.partition("#")[0].endswith(".onnx"):
        return Runtime.ONNX
    names = names_at(address, options)
    torch = "config.json" in names and any("/" not in name and name.endswith(_WEIGHTS) for name in names)
    if torch and any(name.endswith(".onnx") for name in names):
        raise BadInput(f"{address} holds a model for torch and one in ONNX: say --runtime torch or onnx")
    return Runtime.TORCH if torch else Runtime.ONNX
