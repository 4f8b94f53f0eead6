"""From an address to an open detector, and to what lies beside its file."""

from processors.detection.beside import Beside, read_beside
from processors.hub.opening import Runtime, Wish, fetch_for, open_fetched
from processors.model_files.fetching import FetchOptions
from processors.picture_model import PictureModel


def open_detector(
    address: str, wish: Wish, options: FetchOptions | None = None
) -> tuple[PictureModel, Beside]:
    """Fetch a detector and open it.

    Args:
        address: of an ONNX file, or of a folder or repository with `config.json` and safetensors, whose
            metadata then tells all that lies beside a file.
        wish: how it shall run.
        options: for the fetching; whether a pickle is trusted too.

    Raises:
        BadInput: the address has both kinds of files, and `wish` does not say which.
        ModelUnusable: there is no such model, or it cannot be opened.
        ProviderUnavailable: the provider is not there.
    """
    runtime, found = fetch_for(address, wish.runtime, options)
    told = runtime is Runtime.ONNX and found.has_settings
    beside = read_beside(found.path) if told else Beside()
    return open_fetched(runtime, found, wish, size=beside.size), beside
