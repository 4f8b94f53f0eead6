from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from framefuse.errors import ModelUnusable, Poison, UnreadableImage
from framefuse.settings import load
from framefuse.types import Prepared, Record
from processors.detection.fitting import Fitted
from processors.detection.settings import DetectionSettings
from processors.detection.stage import STAGE, Detection
from schemas.records import Box, Detections, Encoding, Frame, Status
from tests.unit.builders import a_frame, a_record, origin_at
from tests.unit.models import a_detector

NAMES = "{0: 'ball', 1: 'car'}"
TWO_BALLS_AND_A_CAR = np.array(
    [[32, 16, 16, 8, 0.9, 0.0], [33, 16, 16, 8, 0.6, 0.0], [32, 16, 16, 8, 0.0, 0.5]], np.float32
).T


def a_stage(
    tmp_path: Path,
    head: npt.NDArray[np.float32] = TWO_BALLS_AND_A_CAR,
    *,
    names: str | None = NAMES,
    **more: Any,
) -> Detection:
    metadata = {"names": names} if names else {}
    path = a_detector(
        tmp_path / "d.onnx", head, metadata=metadata | more.pop("metadata", {}), **more.pop("file", {})
    )
    return Detection(load(DetectionSettings, model=path, **more))


def a_photo(offset: int = 0, *, width: int = 640, height: int = 320) -> Record[Frame]:
    image = cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8))[1].tobytes()
    return a_record(
        a_frame(sequence=offset, image=image, width=width, height=height), "framefuse.frames", offset
    )


def answers(stage: Detection, *photos: Record[Frame]) -> list[Detections]:
    batch = [Prepared(photo, stage.prepare(photo), 3.0, 4.0) for photo in photos]
    return [answer for answer in stage.process(batch) if isinstance(answer, Detections)]


def test_objects_come_in_pixels_of_the_frame_by_falling_score(tmp_path: Path) -> None:
    (answer,) = answers(a_stage(tmp_path), a_photo())
    assert [(found.label, found.class_id, round(found.score, 3)) for found in answer.objects] == [
        ("ball", 0, 0.9),
        ("car", 1, 0.5),
    ]
    assert answer.objects[0].box == Box(240, 120, 400, 200)


def test_an_answer_names_its_frame_its_model_and_its_times(tmp_path: Path) -> None:
    photo = a_photo(7)
    (answer,) = answers(a_stage(tmp_path), photo)
    assert answer.status is Status.OK
    assert answer.frame == photo.ref()
    assert answer.frame_id == photo.value.frame_id
    assert answer.model is not None
    assert answer.model.provider == "CPUExecutionProvider"
    assert answer.timing is not None
    assert (answer.timing.queue_ms, answer.timing.preprocess_ms) == (3.0, 4.0)
    assert answer.timing.inference_ms > 0
    assert answer.timing.postprocess_ms > 0


@pytest.mark.parametrize("batch", ["batch", 1])
def test_a_batch_has_one_answer_a_record_in_order(tmp_path: Path, batch: str | int) -> None:
    stage = a_stage(tmp_path, file={"batch": batch})
    found = answers(stage, *(a_photo(offset, width=200 + offset) for offset in range(5)))
    assert [answer.frame.offset for answer in found] == [0, 1, 2, 3, 4]
    assert [answer.width for answer in found] == [200, 201, 202, 203, 204]


def test_thresholds_are_asked_for_or_the_models_own_or_the_usual_ones(tmp_path: Path) -> None:
    own = {"confidence": "0.7"}
    assert len(answers(a_stage(tmp_path), a_photo())[0].objects) == 2
    assert len(answers(a_stage(tmp_path, metadata=own), a_photo())[0].objects) == 1
    assert len(answers(a_stage(tmp_path, metadata=own, confidence=0.4), a_photo())[0].objects) == 2
    assert len(answers(a_stage(tmp_path, metadata={"iou": "0.95"}), a_photo())[0].objects) == 3
    assert len(answers(a_stage(tmp_path, metadata={"iou_any_label": "0.75"}), a_photo())[0].objects) == 1
    assert len(answers(a_stage(tmp_path, max_det=1), a_photo())[0].objects) == 1


def test_a_model_without_names_gives_numbers(tmp_path: Path) -> None:
    (answer,) = answers(a_stage(tmp_path, names=None), a_photo())
    assert [found.label for found in answer.objects] == ["class 0", "class 1"]


def test_an_output_that_is_not_finite_is_poison_for_its_record_alone(tmp_path: Path) -> None:
    good = a_stage(tmp_path)
    photos = [a_photo(offset) for offset in range(3)]
    batch = [Prepared(photo, good.prepare(photo), 0.0, 0.0) for photo in photos]
    bright = Fitted(np.full_like(batch[1].input.tensor, np.nan), batch[1].input.placement)
    batch[1] = Prepared(photos[1], bright, 0.0, 0.0)
    first, second, third = good.process(batch)
    assert isinstance(first, Detections)
    assert isinstance(second, Poison)
    assert "not finite" in str(second)
    assert isinstance(third, Detections)


def test_a_damaged_picture_is_poison_before_the_model(tmp_path: Path) -> None:
    stage, whole = a_stage(tmp_path), a_photo().value
    for frame in (a_frame(), replace(whole, width=0, height=0), replace(whole, sha256="0" * 64)):
        with pytest.raises(UnreadableImage):
            stage.prepare(a_record(frame, "framefuse.frames", 0))


def test_a_reduced_decode_gives_the_model_nearly_the_same_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    picture = cv2.resize(
        rng.integers(0, 256, (9, 16, 3), np.uint8), (1280, 640), interpolation=cv2.INTER_CUBIC
    )
    image = cv2.imencode(".jpg", picture)[1].tobytes()
    photo = a_record(a_frame(image=image, width=1280, height=640), "framefuse.frames", 0)
    reduced = a_stage(tmp_path, reduced_decode=True).prepare(photo)
    exact = a_stage(tmp_path).prepare(photo)
    assert reduced.placement == exact.placement
    assert np.abs(reduced.tensor - exact.tensor).mean() < 0.02


def test_the_model_sees_red_green_blue_from_0_to_1(tmp_path: Path) -> None:
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:] = (0, 51, 255)
    image = cv2.imencode(".png", picture)[1].tobytes()
    frame = replace(a_frame(image=image, width=64, height=32), encoding=Encoding.PNG)
    tensor = a_stage(tmp_path).prepare(a_record(frame, "framefuse.frames", 0)).tensor
    np.testing.assert_allclose(tensor[0, :, 5, 5], [1.0, 0.2, 0.0], rtol=1e-6)


def test_a_refused_frame_has_a_status_a_reason_and_nothing_else(tmp_path: Path) -> None:
    answer = a_stage(tmp_path).refused(origin_at(4), Status.EXPIRED, "812 ms old, budget 500 ms")
    assert answer == Detections(
        **origin_at(4).head(), status=Status.EXPIRED, reason="812 ms old, budget 500 ms"
    )


@pytest.mark.parametrize(
    ("head", "names", "reason"),
    [
        (np.zeros((4, 10)), NAMES, "gives 1×4×10 for one picture and 2 classes"),
        (np.zeros((7, 10)), NAMES, "1×7×10 for one picture and 2 classes in its metadata 'names': expected"),
        (np.zeros((6, 10)), "'ball'", "metadata 'names' is ball, expected"),
    ],
)
def test_a_model_that_is_no_detector_is_refused_at_the_start(
    tmp_path: Path, head: npt.NDArray[np.float32], names: str, reason: str
) -> None:
    with pytest.raises(ModelUnusable, match=reason):
        a_stage(tmp_path, head, names=names)


def test_the_environment_sets_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEFUSE_DETECTION_CONFIDENCE", "0.33")
    monkeypatch.setenv("FRAMEFUSE_DETECTION_BATCH_WAIT_MS", "20")
    settings = load(DetectionSettings, batch_max=4)
    assert settings.confidence == 0.33
    policy = STAGE.batch(settings)
    assert (policy.max_records, policy.max_wait_s) == (4, 0.02)


def test_a_model_that_suppresses_by_itself_keeps_its_overlapping_boxes(tmp_path: Path) -> None:
    rows = np.array([[24, 12, 40, 20, 0.9, 0], [25, 12, 41, 20, 0.6, 0], [0, 0, 0, 0, 0, 0]], np.float32)
    stage = a_stage(tmp_path, rows, metadata={"end2end": "True"})
    (answer,) = answers(stage, a_photo())
    assert [(found.label, round(found.score, 3)) for found in answer.objects] == [
        ("ball", 0.9),
        ("ball", 0.6),
    ]
    assert answer.objects[0].box == Box(240, 120, 400, 200)


def test_an_overlap_that_was_asked_for_and_does_nothing_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = np.zeros((3, 6), np.float32)
    a_stage(tmp_path, rows, metadata={"end2end": "True"})
    assert "iou" not in caplog.text
    a_stage(tmp_path, rows, metadata={"end2end": "True"}, iou=0.5)
    assert "d.onnx suppresses overlaps itself: iou does nothing here" in caplog.text


def test_a_model_of_free_size_gets_pictures_without_much_border_and_answers_them_in_order(
    tmp_path: Path,
) -> None:
    free = {"size": ("height", "width")}
    stage = a_stage(tmp_path, file=free, metadata={"imgsz": "[320, 320]", "stride": "32"})
    photos = [a_photo(0), a_photo(1, width=320, height=640), a_photo(2, width=64, height=64), a_photo(3)]
    shapes = [stage.prepare(photo).tensor.shape[2:] for photo in photos]
    assert shapes == [(160, 320), (320, 160), (320, 320), (160, 320)]
    assert [answer.frame.offset for answer in answers(stage, *photos)] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"task": "segment"}, "its task is segment: expected a detector"),
        ({"head": "RTDETRDecoder"}, "head RTDETRDecoder: expected"),
        ({"stride": "0"}, "metadata 'stride' is 0"),
        ({"end2end": "True"}, "end to end: expected"),
    ],
)
def test_a_file_that_says_it_is_something_else_is_refused(
    tmp_path: Path, metadata: dict[str, str], reason: str
) -> None:
    with pytest.raises(ModelUnusable, match=reason):
        a_stage(tmp_path, metadata=metadata)


def test_a_model_of_many_classes_without_names_numbers_them(tmp_path: Path) -> None:
    head = np.zeros((3004, 3), np.float32)
    head[:4, 0], head[-1, 0] = (32, 16, 16, 8), 0.9
    (answer,) = answers(a_stage(tmp_path, head, names=None), a_photo())
    assert [found.label for found in answer.objects] == ["class 2999"]


def test_a_grey_picture_of_one_pixel_is_looked_at_like_any_other(tmp_path: Path) -> None:
    image = cv2.imencode(".png", np.full((1, 1), 60_000, np.uint16))[1].tobytes()
    frame = replace(a_frame(image=image, width=1, height=1), encoding=Encoding.PNG)
    (answer,) = answers(a_stage(tmp_path), a_record(frame, "framefuse.frames", 0))
    assert answer.objects[0].box == Box(0.25, 0.375, 0.75, 0.625)
