"""What only a GPU can show: the same answers as on the CPU, from every size of batch and several threads.

`make test ACCELERATOR=gpu TESTS=tests/gpu`. Where ONNX Runtime offers no CUDA everything here is skipped;
where it offers one that does not work it fails, with the reason. TensorRT is tried where its libraries are.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest

from framefuse.publishing.sources import Picture, SourceOptions, open_sources
from framefuse.settings import load
from framefuse.types import Prepared, Record
from processors.depth.stage import DepthEstimation, DepthSettings
from processors.detection.settings import DetectionSettings
from processors.detection.stage import Detection
from processors.onnx import OnnxModel
from processors.onnx.tuning import Tuning
from processors.providers import CUDA, TENSORRT, Provider
from schemas.records import Depth, Detections, Frame
from tests.unit.builders import a_frame, a_record

pytestmark = [
    pytest.mark.skipif(CUDA not in ort.get_available_providers(), reason="this onnxruntime has no CUDA"),
    pytest.mark.timeout(900),  # TensorRT builds engines
]
MODELS = [Path(str(files("processors.models") / f"demo-{name}.onnx")) for name in ("detector", "depth")]
FULL = {Provider.CUDA: CUDA, Provider.TENSORRT: TENSORRT}
PROVIDERS = [
    Provider.CUDA,
    pytest.param(
        Provider.TENSORRT,
        marks=pytest.mark.skipif(find_spec("tensorrt_libs") is None, reason="no TensorRT is installed"),
    ),
]
SHARE = 0.01
"""Of the range of all values: cuDNN and TensorRT compute in TF32, with 10 bits behind the point."""


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def frames() -> list[Record[Frame]]:
    """Twelve drawn pictures."""
    (source,) = open_sources(["synthetic:?seed=7&size=640x384&fps=4&seconds=3"], SourceOptions())
    shown = [item for item in source if isinstance(item, Picture)]
    return [
        a_record(
            replace(
                a_frame(sequence=number, image=one.image, width=one.width, height=one.height),
                sha256=sha256(one.image).hexdigest(),
                encoding=one.encoding,
            ),
            "framefuse.frames",
            number,
        )
        for number, one in enumerate(shown)
    ]


def noise(model: OnnxModel, count: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(1).random((count, 3, model.input.height, model.input.width), np.float32)


def answers(stage: Detection | DepthEstimation, frames: Sequence[Record[Frame]]) -> Sequence[object]:
    return stage.process([Prepared(frame, stage.prepare(frame), 0.0, 0.0) for frame in frames])  # type: ignore[arg-type]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_every_size_of_batch_gives_what_the_cpu_gives(path: Path, provider: Provider, engines: Path) -> None:
    model, plain = (
        OnnxModel(path, one, tuning=Tuning(8, tensorrt_cache=engines)) for one in (provider, Provider.CPU)
    )
    assert model.identity.provider == FULL[provider]
    assert model.best_batch == 8
    pictures = noise(model, 8)
    expected = np.concatenate([plain.run(one[None]) for one in pictures])
    for count in range(1, 9):
        found = model.run(pictures[:count])
        np.testing.assert_allclose(found, expected[:count], rtol=0, atol=SHARE * float(np.ptp(expected)))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_threads_that_share_a_model_get_their_own_answers(provider: Provider, engines: Path) -> None:
    model = OnnxModel(MODELS[1], provider, tuning=Tuning(8, tensorrt_cache=engines))
    pictures = noise(model, 24)
    alone = [model.run(one[None]) for one in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda one: model.run(one[None]), pictures))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=SHARE * float(np.ptp(one)))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_same_objects_are_found(provider: Provider, engines: Path, frames: list[Record[Frame]]) -> None:
    both = [
        answers(Detection(load(DetectionSettings, provider=str(one), tensorrt_cache=engines)), frames)
        for one in (provider, Provider.CPU)
    ]
    for found, expected in zip(*both, strict=True):
        assert isinstance(found, Detections)
        assert isinstance(expected, Detections)
        assert found.model is not None
        assert found.model.provider == FULL[provider]
        sure = [one for one in expected.objects if one.score > 0.6]
        near = [(one.label, round(one.box.x_min / 4), round(one.box.y_min / 4)) for one in found.objects]
        for one in sure:
            column, row = round(one.box.x_min / 4), round(one.box.y_min / 4)
            assert any(
                label == one.label and abs(x - column) <= 1 and abs(y - row) <= 1 for label, x, y in near
            )


@pytest.mark.parametrize("provider", PROVIDERS)
def test_depth_is_the_same(provider: Provider, engines: Path, frames: list[Record[Frame]]) -> None:
    both = [
        answers(DepthEstimation(load(DepthSettings, provider=str(one), tensorrt_cache=engines)), frames)
        for one in (provider, Provider.CPU)
    ]
    for found, expected in zip(*both, strict=True):
        assert isinstance(found, Depth)
        assert isinstance(expected, Depth)
        assert found.stats is not None
        assert expected.stats is not None
        assert found.stats.median == pytest.approx(expected.stats.median, rel=0.02)


@pytest.mark.skipif(find_spec("tensorrt_libs") is None, reason="no TensorRT is installed")
def test_an_engine_is_kept_and_used_again(tmp_path: Path) -> None:
    def kept() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.engine")}

    OnnxModel(MODELS[1], Provider.TENSORRT, tuning=Tuning(4, tensorrt_cache=tmp_path))
    first = kept()
    assert first
    OnnxModel(MODELS[1], Provider.TENSORRT, tuning=Tuning(4, tensorrt_cache=tmp_path))
    assert kept() == first
