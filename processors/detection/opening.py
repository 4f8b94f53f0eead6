"""From an address to an open detector, and to what lies beside its file."""

from processors.detection.beside import Beside, read_beside
from processors.hub.folder import read_folder
from processors.hub.loading import TorchModel
from processors.hub.opening import Runtime, Wish, fetch_for
from processors.model_files.fetching import FetchOptions
from processors.onnx import OnnxModel
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
    if runtime is Runtime.TORCH:
        return TorchModel(read_folder(found), wish.provider, threads=wish.threads), Beside()
    beside = read_beside(found.path) if found.has_settings else Beside()
    model = OnnxModel(found, wish.provider, threads=wish.threads, size=beside.size, tuning=wish.tuning)
    return model, beside
