"""What `framefuse doctor` says of models and of what runs them, on real files and a real runtime."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from framefuse.doctor.findings import Finding, Scene, Status
from framefuse.installing import install, install_extra
from framefuse.settings import KafkaSettings
from processors import checks, runtime_packages
from processors.depth.stage import DEMO_MODEL as DEMO_DEPTH
from processors.runtime_packages import runtime
from tests.unit.models import a_depth_net, a_detector

SCENE = Scene(KafkaSettings(bootstrap=None), None)


def look(subject: str) -> Finding:
    (found,) = [one for one in checks.look_at_models(SCENE) if one.subject == subject]
    return found


def a_package(folder: Path, name: str, version: str) -> None:
    """What an installed package leaves beside its files."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_two_packages_of_the_runtime_are_one_too_many(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert checks.look_at_runtime(SCENE)[0].status is Status.OK
    (other,) = set(runtime_packages.PACKAGES) - set(runtime_packages.onnxruntime_packages())
    a_package(tmp_path, other, "1.31.1")
    monkeypatch.syspath_prepend(tmp_path)

    (found,) = checks.look_at_runtime(SCENE)

    assert found.status is Status.PROBLEM
    assert "onnxruntime and onnxruntime-gpu are both installed" in found.found
    assert found.mend == runtime_packages.INSTALL_GPU
    shutil.rmtree(tmp_path / f"{other.replace('-', '_')}-1.31.1.dist-info")
    assert checks.look_at_runtime(SCENE)[0].status is Status.OK


def test_no_runtime_at_all_and_half_of_one_are_told_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert checks.packages({}).mend == install("onnxruntime")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    (found,) = checks.look_at_runtime(SCENE)

    assert found.status is Status.PROBLEM
    assert found.mend == runtime_packages.INSTALL_CPU
    assert not found.found.endswith("pip")


def test_a_gpu_that_this_runtime_cannot_use_is_a_warning() -> None:
    only_cpu, both = ["CPUExecutionProvider"], ["CUDAExecutionProvider", "CPUExecutionProvider"]

    assert checks.offered(only_cpu, has_gpu=True).status is Status.WARNING
    assert checks.offered(both, has_gpu=True).status is Status.OK
    assert checks.offered(only_cpu, has_gpu=False).status is Status.OK
    assert "no NVIDIA GPU or driver is here" in checks.offered(both, has_gpu=False).found


def test_a_model_is_opened_as_its_worker_would(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    head = np.zeros((6, 2), np.float32)
    head[:, 0] = [32, 16, 20, 10, 0.9, 0]
    names = {"names": "{0: 'car', 1: 'person'}", "imgsz": "[32, 64]"}
    path = a_detector(tmp_path / "mine.onnx", head, metadata=names)
    monkeypatch.setenv("FRAMEFUSE_DETECTION_MODEL", str(path))

    found = look("detection model")

    assert found.status is Status.OK
    assert found.found.startswith("mine.onnx runs on CPU, sha256 ")


def test_a_model_that_is_missing_is_named_with_the_setting_that_says_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FRAMEFUSE_DEPTH_MODEL", str(tmp_path / "nowhere.onnx"))

    found = look("depth model")

    assert found.status is Status.PROBLEM
    assert "nowhere.onnx" in found.found
    assert found.mend == "export FRAMEFUSE_DEPTH_MODEL=FILE.onnx"
    meters = {"kind": "METRIC", "unit": "m"}
    monkeypatch.setenv("FRAMEFUSE_DEPTH_MODEL", str(a_depth_net(tmp_path / "FILE.onnx", metadata=meters)))
    assert look("depth model").status is Status.OK


@pytest.mark.parametrize("content", [b"", b"not ONNX"])
def test_a_file_that_is_no_model_is_a_problem(
    content: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken.onnx").write_bytes(content)
    monkeypatch.setenv("FRAMEFUSE_DEPTH_MODEL", str(tmp_path / "broken.onnx"))

    assert look("depth model").status is Status.PROBLEM


def test_a_model_whose_numbers_nobody_explains_is_a_problem_before_its_worker_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FRAMEFUSE_DEPTH_MODEL", str(a_depth_net(tmp_path / "plain.onnx")))
    found = look("depth model")
    assert found.status is Status.PROBLEM
    assert found.mend.startswith("export FRAMEFUSE_DEPTH_MAP_KIND=…; export FRAMEFUSE_DEPTH_")

    monkeypatch.setenv("FRAMEFUSE_DEPTH_MAP_KIND", "RELATIVE_INVERSE")
    monkeypatch.setenv("FRAMEFUSE_DEPTH_INPUT", "plain")
    assert look("depth model").status is Status.OK


def test_a_provider_that_is_not_there_is_named_with_the_setting_that_goes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "CUDAExecutionProvider" in runtime().get_available_providers():
        pytest.skip("this machine may really have it")
    monkeypatch.setenv("FRAMEFUSE_DETECTION_PROVIDER", "cuda")

    found = look("detection model")

    assert found.status is Status.PROBLEM
    assert found.found.startswith("provider cuda was asked for")
    assert found.mend == "export FRAMEFUSE_DETECTION_PROVIDER=auto"
    monkeypatch.setenv("FRAMEFUSE_DETECTION_PROVIDER", "auto")
    assert look("detection model").status is Status.OK


def test_a_setting_that_no_model_can_have_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEFUSE_DETECTION_CONFIDENCE", "much")

    found = look("detection model")

    assert found.status is Status.PROBLEM
    assert found.mend == "export FRAMEFUSE_DETECTION_CONFIDENCE=…"


def test_a_damaged_demo_model_is_brought_back_by_the_command_that_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    models = tmp_path / "processors" / "models"
    shutil.copytree(Path(checks.__file__).parent / "models", models)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "models"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setattr(checks, "files", lambda package: models)
    path = models / DEMO_DEPTH
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    found = look("depth model")

    assert found.status is Status.PROBLEM
    assert "is damaged or changed" in found.found
    subprocess.run(found.mend, shell=True, check=True)  # noqa: S602 - as a user would
    assert look("depth model").status is Status.OK
    path.unlink()
    assert f"{DEMO_DEPTH} is missing" in look("depth model").found


def test_a_folder_for_torch_says_what_installs_it_where_it_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    config = {"model_type": "depth_anything", "architectures": ["DepthAnythingForDepthEstimation"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    pictures = {"image_processor_type": "DPTImageProcessor", "size": {"height": 28, "width": 28}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(pictures))
    (tmp_path / "model.safetensors").write_bytes(b"")
    monkeypatch.setenv("FRAMEFUSE_DEPTH_MODEL", str(tmp_path))

    found = look("depth model")

    assert found.status is Status.PROBLEM
    assert "needs torch" in found.found
    assert found.mend == install_extra("torch")
