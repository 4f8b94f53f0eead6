"""Open the folder of a Hugging Face model on torch, and run it as any other model of pictures.

From safetensors, without network, without code from the folder, and only with all of its weights: what
`transformers` would fill with random numbers is refused.
"""

import threading
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from framefuse.errors import ModelFailed, ModelUnusable, ProviderUnavailable
from framefuse.installing import install_extra
from processors.announcing import announce
from processors.hub.families import Family, family_of
from processors.hub.folder import HubFolder
from processors.picture_model import InputShape, PictureModel, Tensor
from processors.providers import Provider
from schemas.records import Model

_CPU, _CUDA = "torch-cpu", "torch-cuda"
_DEVICES = {_CPU: "cpu", _CUDA: "cuda"}
_FOUND = {_CPU: "torch finds no usable GPU", _CUDA: "it works here"}


class TorchModel(PictureModel):
    """One open folder; safe to call from several threads.

    On a CPU pictures run one by one, as batches gain nothing there, and so that no answer hangs on its
    neighbours in the last digit.
    """

    def __init__(self, folder: HubFolder, provider: Provider = Provider.AUTO, *, threads: int = 1) -> None:
        """Load the model and run it once.

        Args:
            folder: of the model.
            provider: what it must run on; AUTO takes CUDA where torch has it.
            threads: inside the model, on a CPU; one number for all of the process, as torch has it.

        Raises:
            ModelUnusable: torch is not installed, or the folder is no model that we know, with all weights.
            ProviderUnavailable: the provider is not there.
        """
        family = family_of(folder)
        torch = torch_for(folder.name)
        self.metadata = dict(family.describe(folder))
        active = _active(torch, provider)
        torch.set_num_threads(threads)
        self._device = _DEVICES[active]
        self._network = network_of(folder, family).to(self._device)
        self.identity = Model(folder.name, folder.sha256, active)
        self.input = InputShape(
            "pixel_values", *_sides(self), np.float32, None, any_size=family.free_sides is not None
        )
        self.output_names = family.outputs
        self.output_shapes = self._first_run()
        self.reason = "as asked" if provider is not Provider.AUTO else _FOUND[active]
        announce(self.identity, self.reason)

    @property
    def best_batch(self) -> int | None:
        """Pictures a run should get: one on a CPU, as many as there are elsewhere."""
        return 1 if self.identity.provider == _CPU else None

    def run_all(self, pictures: npt.NDArray[np.float32], names: Sequence[str] | None = None) -> list[Tensor]:
        """See `PictureModel.run_all`.

        Raises:
            ModelFailed: torch failed on these pictures.
        """
        import torch

        try:
            with torch.inference_mode():
                outputs = self._network(torch.from_numpy(pictures).to(self._device))
                found = dict(zip(self.output_names, outputs, strict=True))
                return [found[name].float().cpu().numpy() for name in names or self.output_names]
        except RuntimeError as error:  # of torch: wrong sizes, no memory on the device
            raise ModelFailed(f"{self.identity.name} failed while running: {_first_line(error)}") from error

    def _first_run(self) -> tuple[tuple[int, ...], ...]:
        nothing = np.zeros((1, 3, self.input.height, self.input.width), np.float32)
        try:
            return tuple(output.shape for output in self.run_all(nothing))
        except ModelFailed as error:
            raise ModelUnusable(str(error)) from error


_loading = threading.Lock()
"""`transformers` loads one model at a time: it changes torch's defaults meanwhile."""


def torch_for(name: str, *more: str) -> Any:  # noqa: ANN401 - the package, which has no types here
    """torch, where `transformers` is installed too.

    Args:
        name: of the model, for the message.
        more: packages that are needed as well.

    Raises:
        ModelUnusable: they are not.
    """
    try:
        for package in ("torch", "transformers", *more):  # all of them, so that one message tells it all
            import_module(package)
    except ImportError as error:
        raise ModelUnusable(f"{name} needs torch: {install_extra('torch')} ({error})") from error
    return import_module("torch")


def network_of(folder: HubFolder, family: Family) -> Any:  # noqa: ANN401 - a torch module, or its absence
    """The network of a folder, in float32 on the CPU, as `Family.network` says.

    Raises:
        ModelUnusable: torch is not installed, the weights are broken, or some are missing.
    """
    torch_for(folder.name)
    import transformers

    model_class = getattr(transformers, family.model_class)
    with _loading:
        try:
            model, found = _quietly(transformers, model_class, folder)
        except Exception as error:  # transformers, safetensors and torch have no common class but this
            raise ModelUnusable(f"{folder.name} cannot be loaded: {_first_line(error)}") from error
    missing = [name for name in found["missing_keys"] if not name.endswith(family.unused_weights)]
    wrong = [*missing, *(str(one[0]) for one in found["mismatched_keys"])]
    if wrong:
        raise ModelUnusable(
            f"{folder.name} lacks {len(wrong)} of its weights or has them in another shape "
            f"({', '.join(sorted(wrong)[:3])}): is it cut off, or another model's configuration?"
        )
    return family.network(model.eval())


def _quietly(transformers: Any, model_class: Any, folder: HubFolder) -> tuple[Any, dict[str, Any]]:  # noqa: ANN401
    """`from_pretrained` without progress bars: what goes wrong is an error of ours."""
    import torch

    talk = transformers.utils.logging
    before = talk.get_verbosity()
    talk.set_verbosity_error()
    talk.disable_progress_bar()
    try:
        loaded: tuple[Any, dict[str, Any]] = model_class.from_pretrained(
            str(folder.path),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=not folder.pickled,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            dtype=torch.float32,
        )
        return loaded
    finally:
        talk.set_verbosity(before)


def _active(torch: Any, provider: Provider) -> str:  # noqa: ANN401
    if provider is Provider.CPU:
        return _CPU
    if provider is Provider.TENSORRT:
        raise ProviderUnavailable(
            "provider tensorrt was asked for, and it runs no model of torch: choose --provider cuda, or take "
            "the model as an ONNX file"
        )
    if torch.cuda.is_available():
        return _CUDA
    if provider is Provider.CUDA:
        built = torch.version.cuda
        why = (
            f"torch {torch.__version__} finds no usable GPU" if built else "this torch is built without CUDA"
        )
        raise ProviderUnavailable(
            f"provider cuda was asked for, {why}: mend its driver (nvidia-smi), or choose --provider cpu"
        )
    return _CPU


def _sides(model: PictureModel) -> tuple[int, int]:
    match model.literal("imgsz"):
        case [int(height), int(width)]:
            return height, width
        case found:
            raise ModelUnusable(f"metadata 'imgsz' is {found}, expected [height, width]")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:400]
