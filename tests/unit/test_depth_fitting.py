from pathlib import Path

import numpy as np
import pytest

from framefuse.errors import ModelUnusable
from framefuse.types import Image
from processors.depth.fitting import Fitting, Resample, fitting_of
from processors.onnx import OnnxModel
from tests.unit.models import a_depth_net

PATTERN: Image = ((np.arange(7 * 9 * 3) * 83) % 256).astype(np.uint8).reshape(7, 9, 3)
SAID = {
    "imgsz": "[28, 42]",
    "keep_aspect": "true",
    "multiple_of": "14",
    "resample": "bicubic",
    "mean": "[0.485, 0.456, 0.406]",
    "std": "[0.229, 0.224, 0.225]",
}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_the_input_has_the_numbers_of_dpt_image_processor() -> None:
    tensor = Fitting(
        28, 28, keep_aspect=True, multiple_of=14, resample=Resample.BICUBIC, mean=MEAN, std=STD
    ).fit(PATTERN)
    assert tensor.shape == (1, 3, 28, 28)
    # As transformers 5.17 gives them with torchvision 0.29.
    assert tensor[0, :, 3, 5].tolist() == [0.26243680715560913, -1.282913088798523, 2.2914161682128906]
    assert float(tensor.sum()) == pytest.approx(585.2330932617188, rel=1e-6)


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        ((640, 480), (686, 518)),
        ((1920, 1080), (924, 518)),
        ((480, 640), (518, 686)),
        ((17, 11), (518, 336)),
    ],
)
def test_the_size_is_that_of_dpt_image_processor(picture: tuple[int, int], size: tuple[int, int]) -> None:
    assert Fitting(518, 518, keep_aspect=True, multiple_of=14).size(*picture) == size


@pytest.mark.parametrize("picture", [(4000, 10), (10, 4000), (60_000, 1), (1, 1)])
def test_no_picture_makes_an_input_without_bounds(picture: tuple[int, int]) -> None:
    width, height = Fitting(518, 518, keep_aspect=True, multiple_of=14).size(*picture)
    assert min(width, height) >= 14
    assert width * height <= 4.2 * 518 * 518


def test_a_model_without_a_word_gets_its_own_size_and_colours_from_0_to_1(tmp_path: Path) -> None:
    model = OnnxModel(a_depth_net(tmp_path / "plain.onnx"))
    assert fitting_of(model) == Fitting(64, 32, resample=Resample.AREA)


def test_a_model_of_free_size_is_fitted_as_its_metadata_says(tmp_path: Path) -> None:
    model = OnnxModel(a_depth_net(tmp_path / "free.onnx", size=("height", "width"), metadata=SAID))
    assert fitting_of(model) == Fitting(
        42, 28, keep_aspect=True, multiple_of=14, resample=Resample.BICUBIC, mean=MEAN, std=STD
    )


def test_a_file_of_fixed_size_gets_that_size_whatever_it_says(tmp_path: Path) -> None:
    model = OnnxModel(a_depth_net(tmp_path / "fixed.onnx", metadata=SAID))
    assert fitting_of(model) == Fitting(64, 32, resample=Resample.BICUBIC, mean=MEAN, std=STD)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("resample", "lanczos", "'resample' is lanczos, expected area, bilinear, bicubic"),
        ("keep_aspect", "yes", "'keep_aspect' is yes, expected true or false"),
        ("multiple_of", "0", "'multiple_of' is 0, expected 1 or more"),
        ("mean", "[0.5]", r"'mean' is \[0.5\], expected three numbers"),
        ("std", "[0.2, 0.2, 0]", "'std' is .*, expected numbers above 0"),
    ],
)
def test_metadata_that_cannot_be_followed_is_refused(
    tmp_path: Path, key: str, value: str, reason: str
) -> None:
    model = OnnxModel(a_depth_net(tmp_path / "bad.onnx", metadata=SAID | {key: value}))
    with pytest.raises(ModelUnusable, match=reason):
        fitting_of(model)
