"""Static sizes of batches and bound memory, as on a GPU, on the CPU."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto
from prometheus_client import REGISTRY

from processors.onnx import OnnxModel
from processors.onnx.batches import bucket_for, buckets_up_to
from processors.onnx.binding import BoundRuns
from processors.onnx.tuning import Tuning
from processors.providers import Provider
from tests.unit.models import a_depth_net, a_detector

DEMO_DEPTH = Path(__file__).parents[2] / "processors" / "models" / "demo-depth.onnx"
HEAD = np.arange(24, dtype=np.float32).reshape(6, 4)


def as_on_gpu(path: Path, batch_max: int = 8) -> OnnxModel:
    return OnnxModel(path, Provider.CPU, tuning=Tuning(batch_max, as_on_gpu=True))


def grey(*values: float, size: tuple[int, int] = (32, 64)) -> npt.NDArray[np.float32]:
    return np.stack([np.full((3, *size), value, np.float32) for value in values])


def test_buckets_are_powers_of_two_and_the_most() -> None:
    assert buckets_up_to(1) == (1,)
    assert buckets_up_to(2) == (1, 2)
    assert buckets_up_to(6) == (1, 2, 4, 6)
    assert buckets_up_to(8) == (1, 2, 4, 8)


@given(st.integers(1, 200), st.data())
def test_less_than_half_of_a_run_is_filling(most: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, most))
    bucket = bucket_for(count, buckets_up_to(most))
    assert count <= bucket <= most
    assert bucket < 2 * count


def test_a_count_beyond_all_buckets_is_itself() -> None:
    assert bucket_for(9, (1, 2, 4, 8)) == 9


Array = npt.NDArray[np.float32]


class Runs:
    """A session that notes how many pictures each run got."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self.session, self.counts = session, list[int]()

    def run(self, names: list[str], feed: dict[str, Array]) -> list[Array]:
        self.counts.append(len(next(iter(feed.values()))))
        return list(self.session.run(names, feed))


def test_a_batch_of_five_to_eight_runs_as_eight_and_answers_only_its_own(tmp_path: Path) -> None:
    model = as_on_gpu(a_depth_net(tmp_path / "free.onnx", batch="batch"))
    assert model.best_batch == 8
    model._bound = seen = Runs(model._session)  # type: ignore[assignment]
    for count in range(1, 9):
        values = [number / 10 for number in range(count)]
        answers = model.run(grey(*values))
        assert [float(answer.mean()) for answer in answers] == pytest.approx(values)
    assert seen.counts == [1, 2, 4, 4, 8, 8, 8, 8]


def test_every_bucket_runs_once_before_the_first_frame_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "framefuse.onnx"):
        as_on_gpu(a_depth_net(tmp_path / "free.onnx", batch="batch"), batch_max=6)
    assert "free.onnx is prepared for batches of 1, 2, 4, 6 in" in caplog.text


def test_on_a_cpu_every_picture_runs_alone_and_nothing_is_filled_up(tmp_path: Path) -> None:
    model = OnnxModel(a_depth_net(tmp_path / "free.onnx", batch="batch"))
    assert model.best_batch == 1
    assert len(model.run(grey(0.1, 0.2, 0.3))) == 3


def test_a_file_of_fixed_batch_has_this_one_bucket_on_a_gpu_too(tmp_path: Path) -> None:
    model = as_on_gpu(a_depth_net(tmp_path / "four.onnx", batch=4))
    assert model.best_batch == 4
    assert [float(one.mean()) for one in model.run(grey(0.25, 0.5))] == [0.25, 0.5]


def test_a_file_that_promises_batches_and_breaks_at_them_gets_one_picture_a_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = a_detector(tmp_path / "d.onnx", HEAD)
    model = onnx.load(path)
    for constant in model.graph.initializer:  # as exports do that write the batch into a reshape
        if constant.name == "column":
            constant.CopyFrom(onnx.numpy_helper.from_array(np.array([1, 1, 1], np.int64), "column"))
    onnx.save(model, path)
    opened = as_on_gpu(path)
    assert opened.best_batch == 1
    assert "d.onnx takes no batch of 8" in caplog.text
    assert opened.run(grey(0.5)).shape == (1, 6, 4)


def test_bound_runs_give_what_plain_runs_give() -> None:
    plain = OnnxModel(DEMO_DEPTH)
    bound = as_on_gpu(DEMO_DEPTH, batch_max=4)
    assert bound.best_batch == 4
    sides = (plain.input.height, plain.input.width)
    noise = np.random.default_rng(1).random((bound.best_batch, 3, *sides), np.float32)
    for count in range(1, len(noise) + 1):
        answers = bound.run_all(noise[:count])
        for number, picture in enumerate(noise[:count]):
            for got, expected in zip(answers, plain.run_all(picture[None]), strict=True):
                np.testing.assert_allclose(got[number], expected[0], rtol=1e-5, atol=1e-5)


def test_answers_of_a_bound_run_stay_when_its_memory_is_used_again(tmp_path: Path) -> None:
    model = as_on_gpu(a_depth_net(tmp_path / "free.onnx", batch="batch"))
    first = model.run(grey(0.25))
    model.run(grey(0.75))
    assert float(first.mean()) == 0.25


def test_bound_runs_of_many_threads_do_not_mix(tmp_path: Path) -> None:
    model = as_on_gpu(a_depth_net(tmp_path / "free.onnx", batch="batch"))
    pictures = [grey(*[float(number)] * (1 + number % 8)) for number in range(60)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(model.run, pictures))
    assert [(len(answer), float(answer.mean())) for answer in answers] == [
        (1 + number % 8, float(number)) for number in range(60)
    ]


@pytest.mark.parametrize("bound", [False, True])
def test_half_precision_takes_and_gives_the_same_bound_or_not(tmp_path: Path, bound: bool) -> None:
    path = a_depth_net(tmp_path / "half.onnx", batch="batch", element=TensorProto.FLOAT16)
    model = OnnxModel(path, tuning=Tuning(as_on_gpu=bound))
    answers = model.run(grey(0.25, 0.5, 0.75))
    assert answers.dtype == np.float16
    assert [float(answer.mean()) for answer in answers] == [0.25, 0.5, 0.75]


def test_memory_is_kept_for_the_last_shapes_only(tmp_path: Path) -> None:
    path = a_depth_net(tmp_path / "any.onnx", batch="batch", size=("h", "w"), metadata={"imgsz": "[32, 64]"})
    model = as_on_gpu(path, batch_max=1)
    bound = model._bound
    assert isinstance(bound, BoundRuns)
    for side in range(32, 132):
        assert model.run(grey(0.5, size=(side, 64))).shape == (1, 1, side, 64)
    assert len(bound._idle) == 32


def test_what_of_the_runs_are_frames_and_what_is_filling_is_counted(tmp_path: Path) -> None:
    model = as_on_gpu(a_depth_net(tmp_path / "counted.onnx", batch="batch"))
    model.run(grey(0.1, 0.2, 0.3, 0.4, 0.5))
    counted = [
        REGISTRY.get_sample_value("framefuse_model_pictures_total", {"model": "counted.onnx", "kind": kind})
        for kind in ("frame", "filling")
    ]
    assert counted == [5, 3]
