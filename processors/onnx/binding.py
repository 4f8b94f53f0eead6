"""Runs with inputs and outputs bound to memory of the device, kept from run to run.

Every thread that runs takes a binding for its shapes, or makes one, and gives it back.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnxruntime as ort

_KEPT = 32
"""Bindings at most that wait for their next run: pictures of free size could have any number of shapes."""
_Key = tuple[tuple[str, ...], tuple[tuple[str, tuple[int, ...]], ...]]


class BoundRuns:
    """What `InferenceSession.run` does, with the same arguments, in memory of its own."""

    def __init__(self, session: "ort.InferenceSession", device: str) -> None:
        """Bind to `device`, "cuda" or "cpu"."""
        self._session, self._device = session, device
        self._idle: list[_Binding] = []
        """The one that was used last stands last."""
        self._lock = threading.Lock()

    def run(self, names: Sequence[str], feed: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """Outputs of these names for these inputs, in memory of the host that nobody else writes to."""
        key = (tuple(names), tuple((name, value.shape) for name, value in feed.items()))
        binding = self._taken(key) or _Binding(self._session, self._device, key, feed)
        outputs = binding.run(feed)
        with self._lock:
            self._idle.append(binding)
            del self._idle[:-_KEPT]
        return outputs

    def _taken(self, key: _Key) -> "_Binding | None":
        with self._lock:
            for place in reversed(range(len(self._idle))):
                if self._idle[place].key == key:
                    return self._idle.pop(place)
        return None


class _Binding:
    """Memory for inputs of one shape."""

    def __init__(
        self,
        session: "ort.InferenceSession",
        device: str,
        key: _Key,
        feed: Mapping[str, npt.NDArray[Any]],
    ) -> None:
        from onnxruntime import OrtValue

        self.key = key
        self._session, self._io, self._device = session, session.io_binding(), device
        self._inputs = {
            name: OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value), device, 0)
            for name, value in feed.items()
        }
        for name, value in self._inputs.items():
            self._io.bind_ortvalue_input(name, value)

    def run(self, feed: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        for name, value in feed.items():
            self._inputs[name].update_inplace(np.ascontiguousarray(value))
        self._io.clear_binding_outputs()
        for name in self.key[0]:  # anew, as an output may be of another size each time
            self._io.bind_output(name, self._device)
        self._io.synchronize_inputs()
        self._session.run_with_iobinding(self._io)
        self._io.synchronize_outputs()
        return [np.asarray(output) for output in self._io.copy_outputs_to_cpu()]
