import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from framefuse.cli.infer import infer
from framefuse.errors import BadInput, ModelUnusable
from framefuse.runtime.inline import frame_of, open_inline
from framefuse.settings import in_variables
from processors.detection.settings import DetectionSettings
from schemas.records import Fused, Outcome
from tests.parts.model_server import a_model_server
from tests.unit.models import a_depth_net, a_detector

BALL_AND_CAR = np.array([[32, 16, 16, 8, 0.9, 0.0], [8, 8, 8, 8, 0.0, 0.5]], np.float32).T
NAMES = {"names": "{0: 'ball', 1: 'car'}"}
METRES = {"kind": "METRIC", "unit": "m", "scale": "10"}


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Path]:
    return {
        "detection": a_detector(tmp_path / "d.onnx", BALL_AND_CAR, metadata=NAMES),
        "depth": a_depth_net(tmp_path / "z.onnx", metadata=METRES),
    }


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(a_grey_jpeg())
    return path


def a_grey_jpeg(level: int = 128) -> bytes:
    return cv2.imencode(".jpg", np.full((320, 640, 3), level, np.uint8))[1].tobytes()


def run(models: Mapping[str, Path], *arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(infer)
    given = ["--detection-model", models["detection"], "--depth-model", models["depth"], *arguments]
    return CliRunner().invoke(app, [str(one) for one in given])


def objects_of(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_json_has_the_names_of_the_fused_record_and_the_path(models: dict[str, Path], photo: Path) -> None:
    result = run(models, photo, "--json")
    assert result.exit_code == 0
    (seen,) = objects_of(result)
    assert list(seen) == ["path", *(field.name for field in fields(Fused))]
    assert seen["path"] == str(photo)
    assert seen["outcome"] == "FUSED"
    ball, car = seen["objects"]
    assert (ball["label"], car["label"]) == ("ball", "car")
    assert ball["box"] == {"x_min": 240.0, "y_min": 120.0, "x_max": 400.0, "y_max": 200.0}
    assert ball["depth"]["median"] == pytest.approx(5.02, abs=0.01)
    assert "data" not in seen["map"]


def test_models_come_from_any_address_and_a_pin_that_does_not_fit_is_an_error(
    models: dict[str, Path], photo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    content = models["detection"].read_bytes()
    with a_model_server() as server:
        server.files["/d.onnx"] = content
        address = f"{server.address}/d.onnx"
        pinned = f"{address}#sha256:{sha256(content).hexdigest()}"
        (seen,) = objects_of(run(models, "--detection-model", pinned, photo, "--json"))
        refused = run(models, "--detection-model", f"{address}#sha256:{'0' * 64}", photo)
    assert seen["detection_model"]["name"] == "d.onnx"
    assert seen["detection_model"]["sha256"] == sha256(content).hexdigest()
    assert isinstance(refused.exception, ModelUnusable)


def test_the_depth_map_comes_with_it_on_request(models: dict[str, Path], photo: Path) -> None:
    (seen,) = objects_of(run(models, photo, "--json", "--with-map"))
    png = np.frombuffer(b64decode(seen["map"]["data"]), np.uint8)
    pixels = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    assert pixels.shape == (32, 64)
    assert pixels[0, 0] * seen["map"]["scale"] + seen["map"]["offset"] == pytest.approx(5.02, abs=0.01)


def test_bad_files_are_named_and_the_others_go_on(
    models: dict[str, Path], photo: Path, tmp_path: Path
) -> None:
    cut, text = tmp_path / "cut.jpg", tmp_path / "text.png"
    cut.write_bytes(a_grey_jpeg()[:-40])
    text.write_text("not a picture")
    result = run(models, cut, text, photo, "--json")
    assert result.exit_code == 1
    assert [Path(seen["path"]).name for seen in objects_of(result)] == ["photo.jpg"]
    told = result.stderr.splitlines()
    assert "cut.jpg: the JPEG is cut off" in told[0]
    assert "text.png: starts with 6e 6f 74" in told[1]


@pytest.mark.parametrize(("stage", "missing"), [("detection", "DEPTH"), ("depth", "DETECTION")])
def test_one_side_alone_says_that_the_other_was_not_asked_for(
    models: dict[str, Path], photo: Path, stage: str, missing: str
) -> None:
    (models["detection" if stage == "depth" else "depth"]).unlink()
    (seen,) = objects_of(run(models, photo, "--stage", stage, "--json"))
    assert seen["outcome"] == "PARTIAL"
    assert [(one["side"], one["reason"]) for one in seen["missing"]] == [(missing, "expired: not asked for")]
    assert (seen["map"] is None) == (stage == "detection")
    assert bool(seen["objects"]) == (stage == "detection")


def test_people_get_a_table_with_distances(models: dict[str, Path], photo: Path) -> None:
    result = run(models, photo)
    assert result.exit_code == 0
    assert "640×320" in result.stdout
    assert "5.0 m" in result.stdout
    assert "240, 120, 400, 200" in result.stdout
    assert "map 64×32" in result.stdout


def test_thresholds_reach_the_model(models: dict[str, Path], photo: Path) -> None:
    (seen,) = objects_of(run(models, photo, "--confidence", "0.7", "--json"))
    assert [found["label"] for found in seen["objects"]] == ["ball"]
    result = run(models, photo, "--confidence", "0.95")
    assert "no objects" in result.stdout


def test_pictures_are_saved_under_names_that_do_not_collide(
    models: dict[str, Path], photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "photo.png"
    twin.write_bytes(cv2.imencode(".png", np.zeros((30, 50, 3), np.uint8))[1].tobytes())
    result = run(models, photo, twin, "--save", tmp_path / "out")
    assert result.exit_code == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["photo-2.objects-depth.png", "photo.objects-depth.png"]
    saved = cv2.imread(str(tmp_path / "out" / "photo.objects-depth.png"))
    assert saved is not None
    assert saved.shape[1] == 2 * 640


def test_a_folder_that_cannot_be_written_stops_with_what_to_do(models: dict[str, Path], photo: Path) -> None:
    result = run(models, photo, "--save", photo)
    assert isinstance(result.exception, BadInput)
    assert "give --save a folder" in str(result.exception)


def test_a_missing_model_stops_before_any_picture(models: dict[str, Path], photo: Path) -> None:
    models["depth"].unlink()
    result = run(models, photo)
    assert isinstance(result.exception, ModelUnusable)
    assert not result.stdout


def test_the_demo_models_say_once_what_they_are_for_and_others_say_nothing(
    models: dict[str, Path], photo: Path
) -> None:
    app = typer.Typer()
    app.command()(infer)
    demo = CliRunner().invoke(app, [str(photo), str(photo), "--json"])
    assert demo.stderr.count("know drawn scenes only") == 1
    assert len(objects_of(demo)) == 2
    assert run(models, photo, "--json").stderr == ""


def test_what_a_file_does_not_tell_is_said_by_the_options_that_the_error_names_or_by_variables(
    models: dict[str, Path], photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models["depth"] = a_depth_net(tmp_path / "untold.onnx", metadata={"scale": "10"})
    said = str(run(models, photo).exception)
    assert "add --map-kind, --map-unit (of METRIC) and" in said
    assert "--input plain|imagenet|depth-anything" in said
    told = ("--map-kind", "RELATIVE_INVERSE", "--input", "plain")
    assert run(models, photo, *told).exit_code == 0
    assert "--head detr expects" in str(run(models, photo, "--head", "detr").exception)
    monkeypatch.setenv("FRAMEFUSE_DEPTH_MAP_KIND", "RELATIVE_INVERSE")
    monkeypatch.setenv("FRAMEFUSE_DEPTH_INPUT", "plain")
    assert run(models, photo).exit_code == 0
    assert "choose --provider cpu" in str(run(models, photo, "--provider", "cuda").exception)


def test_an_error_names_as_a_variable_what_is_an_option_of_run_alone() -> None:
    said = in_variables("say --runtime torch or --head detr", DetectionSettings, {"head": None})
    assert said == "say FRAMEFUSE_DETECTION_RUNTIME=torch or --head detr"


@pytest.mark.parametrize(
    ("asked", "labels"), [("car", ["car"]), ("0", ["ball"]), ("car,ball", ["ball", "car"])]
)
def test_only_the_classes_that_were_asked_for_are_found(
    models: dict[str, Path], photo: Path, asked: str, labels: list[str]
) -> None:
    (seen,) = objects_of(run(models, photo, "--classes", asked, "--json"))
    assert [found["label"] for found in seen["objects"]] == labels


def test_a_class_that_the_model_does_not_have_ends_it_with_the_nearest(
    models: dict[str, Path], photo: Path
) -> None:
    refused = run(models, photo, "--classes", "cra").exception
    assert isinstance(refused, BadInput)
    assert str(refused).startswith("d.onnx has no class 'cra' (did you mean car?): it has 0 ball, 1 car; say")


def test_a_picture_above_the_limit_says_what_raises_it(
    models: dict[str, Path], photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAMEFUSE_DEPTH_MAX_PIXELS", "1000")
    assert "FRAMEFUSE_DEPTH_MAX_PIXELS" in run(models, photo).stderr


def test_results_come_in_the_order_of_the_pictures(models: dict[str, Path]) -> None:
    inline = open_inline({name: {"model": path} for name, path in models.items()})
    frames = [
        frame_of(a_grey_jpeg(level), stream_id="s", run_id="r", sequence=level) for level in (0, 100, 200)
    ]
    fused = [inline.fuse(frame) for frame in frames]
    assert [(one.sequence, one.frame.offset) for one in fused] == [(0, 0), (100, 1), (200, 2)]
    assert [one.frame_id for one in fused] == [frame.frame_id for frame in frames]


def test_a_model_that_fails_on_a_picture_gives_a_result_that_says_so(tmp_path: Path) -> None:
    bad = a_detector(tmp_path / "nan.onnx", np.full((6, 2), np.nan, np.float32), metadata=NAMES)
    net = a_depth_net(tmp_path / "z.onnx", metadata=METRES)
    inline = open_inline({"detection": {"model": bad}, "depth": {"model": net}})
    fused = inline.fuse(frame_of(a_grey_jpeg(), stream_id="s", run_id="r", sequence=0))
    assert fused.outcome is Outcome.DEAD_LETTER
    assert "not finite" in fused.missing[0].reason
    assert fused.map is not None
