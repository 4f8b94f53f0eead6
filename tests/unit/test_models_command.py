"""`framefuse models`, on real files, a real web server and a real cache."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from framefuse.errors import BadInput
from processors.model_files.remotes import NotThere
from processors.models_command.app import app
from processors.models_command.wrapping import print_whole
from tests.parts.model_server import ModelServer, a_model_server
from tests.unit.models import a_depth_net, a_detector

HEAD = np.zeros((6, 42), np.float32)
NAMES = {"names": "{0: 'ball', 1: 'car'}", "stride": "8"}
METRES = {"kind": "METRIC", "unit": "m", "far": "80"}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def json_of(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModelServer]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with a_model_server() as server:
        yield server


def test_check_says_what_a_detector_is_and_how_fast(tmp_path: Path) -> None:
    path = a_detector(tmp_path / "yolo.onnx", HEAD, metadata=NAMES)
    found = json_of(run("check", path, "--runs", "3", "--json"))
    assert (found["usable"], found["stage"], found["runtime"]) == (True, "detection", "onnx")
    assert found["family"] == "yolov8 (1×(4+classes)×N)"
    assert (found["classes"], found["stride"]) == ({"0": "ball", "1": "car"}, 8)
    assert found["input"]["shape"] == [None, 3, 32, 64]
    assert found["outputs"] == [{"name": "output0", "shape": [1, 6, 42]}]
    assert found["sha256"] == sha256(path.read_bytes()).hexdigest()
    assert found["provider"] == "CPUExecutionProvider"
    assert found["runs"]["count"] == 3
    assert found["runs"]["p50_ms"] >= found["runs"]["min_ms"] > 0
    shown = run("check", path).stdout
    assert "usable: yolo.onnx, for detection" in shown
    assert "2: ball, car" in shown
    assert "of 10 runs with 1 picture" in shown


def test_check_says_what_a_depth_model_gives(tmp_path: Path) -> None:
    path = a_depth_net(tmp_path / "z.onnx", metadata=METRES)
    found = json_of(run("check", path, "--json"))
    assert (found["stage"], found["family"], found["classes"]) == ("depth", "METRIC in m, up to 80", None)


def test_what_run_has_to_be_told_check_can_be_told(tmp_path: Path) -> None:
    path = a_depth_net(tmp_path / "z.onnx")
    unsaid = run("check", path)
    assert unsaid.exit_code == 1
    assert "as a detector: z.onnx gives 1×1×32×64" in unsaid.stderr
    assert "as a depth model: z.onnx: metadata 'kind' is nothing" in unsaid.stderr
    said = run("check", path, "--map-kind", "METRIC", "--map-unit", "m", "--input", "plain")
    assert (said.exit_code, said.stderr) == (0, "")


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        (b"no model", [], "is not a usable ONNX model: damaged, cut off or no ONNX file (8 bytes)"),
        (b"", [], "is not a usable ONNX model but empty"),
        (None, ["--provider", "tensorrt"], "provider tensorrt was asked for"),
        (None, ["--head", "yolov5"], "--head yolov5 expects 1×N×(5+classes)"),
        (None, ["--stage", "depth"], "d.onnx gives 1×6×42 for one picture of 32×64: expected a depth map"),
    ],
)
def test_an_unusable_model_has_its_reason_and_an_exit_code_of_its_own(
    tmp_path: Path, content: bytes | None, options: list[str], reason: str
) -> None:
    path = tmp_path / "d.onnx"
    if content is None:
        a_detector(path, HEAD, metadata=NAMES)
    else:
        path.write_bytes(content)
    shown = run("check", path, *options)
    assert shown.exit_code == 1
    assert shown.stderr.startswith("unusable: ")
    assert reason in shown.stderr
    found = json_of(run("check", path, *options, "--json"))
    assert (found["usable"], reason in found["reason"]) == (False, True)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["none.onnx"], "no model file none.onnx"),
        (["d.onnx", "--head", "yolov8", "--map-unit", "m"], "--head is for detection and --map-unit is for"),
        (["d.onnx", "--head", "yolov8", "--stage", "depth"], "--stage says depth: a model is for one"),
        (["d.onnx", "--mean", "1,2"], "mean: expected three numbers, such as 0.485,0.456,0.406"),
        (["d.onnx", "--threads", "2", "--provider", "abacus"], "provider: Input should be"),
    ],
)
def test_what_cannot_be_asked_is_refused(tmp_path: Path, arguments: list[str], error: str) -> None:
    a_detector(tmp_path / "d.onnx", HEAD)
    refused = run("check", tmp_path / arguments[0], *arguments[1:])
    assert isinstance(refused.exception, BadInput | NotThere)
    assert error in str(refused.exception).replace(f"{tmp_path}/", "")


def test_a_model_that_is_checked_is_in_the_list_with_its_pin(server: ModelServer, tmp_path: Path) -> None:
    content = a_detector(tmp_path / "d.onnx", HEAD, metadata=NAMES).read_bytes()
    server.files["/a/d.onnx"] = content
    assert "Nothing is in the cache" in run("list").stdout
    address = f"{server.address}/a/d.onnx"
    assert run("check", address).exit_code == 0
    listed = json_of(run("list", "--json"))
    assert [one["name"] for one in listed["demo"]] == ["demo-detector.onnx", "demo-depth.onnx"]
    (cached,) = listed["cached"]
    assert cached["address"] == address
    assert cached["sha256"] == sha256(content).hexdigest()
    assert (cached["size_bytes"], Path(cached["path"]).read_bytes()) == (len(content), content)
    assert f"\n{address}\n  d.onnx, " in run("list").stdout
    assert f"\n  #sha256:{cached['sha256']}\n" in run("list").stdout
    assert run("check", f"{address}#sha256:{cached['sha256']}").exit_code == 0
    server.files["/a/d.onnx"] = a_detector(tmp_path / "new.onnx", HEAD + 1, metadata=NAMES).read_bytes()
    run("check", address)
    assert [one["address"] for one in json_of(run("list", "--json"))["cached"]] == [address, None]
    assert "an earlier state" in run("list").stdout


def test_no_report_tells_a_password_or_a_signature(server: ModelServer, tmp_path: Path) -> None:
    address = f"{server.address.replace('//', '//me:secret@')}/d.onnx?signature=secret"
    server.files["/d.onnx"] = b"no model"
    refused = [run("check", address), run("check", address, "--json")]
    server.files["/d.onnx"] = a_detector(tmp_path / "d.onnx", HEAD, metadata=NAMES).read_bytes()
    usable = [run("check", address), run("check", address, "--json"), run("list", "--json")]
    assert [one.exit_code for one in [*refused, *usable]] == [1, 1, 0, 0, 0]
    assert f"unusable: {server.address}/d.onnx is not a usable ONNX model: damaged" in refused[0].stderr
    assert all("secret" not in one.stdout + one.stderr for one in [*refused, *usable])


def test_an_address_is_wrapped_between_words_in_a_terminal_and_never_in_a_pipe() -> None:
    text = f"[red]unusable[/]: https://host/{'a' * 30} is cut off\n  and " + "b" * 50
    shown = {True: StringIO(), False: StringIO()}
    for terminal, file in shown.items():
        print_whole(Console(file=file, width=40, force_terminal=terminal, color_system=None), text)
    assert shown[True].getvalue() == f"unusable:\nhttps://host/{'a' * 30}\nis cut off\n  and\n{'b' * 50}\n"
    assert shown[False].getvalue() == text.replace("[red]", "").replace("[/]", "") + "\n"


def test_export_writes_over_nothing_unless_it_is_told(tmp_path: Path) -> None:
    there = tmp_path / "depth.onnx"
    there.write_bytes(b"mine")
    refused = run("export", tmp_path, "--to", there)
    assert isinstance(refused.exception, BadInput)
    assert "--force to write over it" in str(refused.exception)
    refused = run("export", tmp_path, "--to", tmp_path / "depth.txt")
    assert "let it end with .onnx" in str(refused.exception)


def test_a_bar_is_drawn_in_a_terminal(tmp_path: Path) -> None:
    path = a_detector(tmp_path / "d.onnx", HEAD, metadata=NAMES)
    command = [sys.executable, "-m", "framefuse", "models", "check", str(path), "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"TERM": "xterm"}
    ours, theirs = pty.openpty()
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=theirs, check=True, timeout=100
    )
    os.close(theirs)
    assert b"10/10" in os.read(ours, 65536)
    os.close(ours)
    assert json.loads(done.stdout)["usable"]
