"""Pictures of every kind reach the detector upright, in three colours of 8 bits."""

from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from framefuse.pictures.decoding import measure
from framefuse.types import Prepared
from processors.detection.fitting import Fitted
from schemas.records import Box, Detections, Encoding
from tests.unit.builders import a_frame, a_record
from tests.unit.test_bad_input import CMYK
from tests.unit.test_detection_stage import a_stage
from tests.unit.test_pictures import encoded, turned

RED = (1.0, 0.0, 0.0)


def of_one_colour(*values: int, kind: type[np.generic] = np.uint8) -> bytes:
    pixels = np.empty((32, 64, len(values)), kind)
    pixels[:] = values
    return cv2.imencode(".png", pixels)[1].tobytes()


def looked_at(tmp_path: Path, image: bytes) -> tuple[Fitted, Detections]:
    encoding, width, height = measure(image)
    frame = replace(a_frame(image=image, width=width, height=height), encoding=encoding)
    stage, record = a_stage(tmp_path), a_record(frame, "framefuse.frames", 0)
    fitted = stage.prepare(record)
    (answer,) = stage.process([Prepared(record, fitted, 0.0, 0.0)])
    assert isinstance(answer, Detections)
    return fitted, answer


@pytest.mark.parametrize(
    "image",
    [
        of_one_colour(0, 0, 255),
        of_one_colour(0, 0, 255, 0),
        of_one_colour(0, 0, 65_535, kind=np.uint16),
        b64decode(CMYK + "6pr5Ur5Ur6pr/2Q=="),
    ],
    ids=["png", "transparent", "16 bits", "cmyk"],
)
def test_the_model_sees_the_colour_that_people_see(tmp_path: Path, image: bytes) -> None:
    fitted, answer = looked_at(tmp_path, image)
    assert fitted.tensor[0, :, 16, 32].tolist() == pytest.approx(RED, abs=0.02)
    assert len(answer.objects) == 2


def test_boxes_are_in_pixels_of_the_picture_as_it_is_turned(tmp_path: Path) -> None:
    stored = np.zeros((320, 640, 3), np.uint8)
    stored[:, :320] = (0, 0, 255)  # the left half is red: turned to the right by 90°, the upper one is
    fitted, answer = looked_at(tmp_path, turned(encoded(stored, Encoding.JPEG), Encoding.JPEG, 6))
    assert (answer.width, answer.height) == (320, 640)
    assert fitted.tensor[0, :, 4, 32].tolist() == pytest.approx(RED, abs=0.02)
    assert fitted.tensor[0, :, 28, 32].tolist() == pytest.approx((0, 0, 0), abs=0.02)
    assert answer.objects[0].box == Box(0, 240, 320, 400)
