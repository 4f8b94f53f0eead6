"""Asked for and not there is a failed start; what is chosen is said. All of it without a GPU."""

import logging
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest
from prometheus_client import REGISTRY

from framefuse.errors import BadInput, ModelUnusable, ProviderUnavailable
from framefuse.settings import load
from processors import runtime_packages
from processors.onnx import OnnxModel, OnnxSettings
from processors.onnx.tuning import Tuning, tensorrt_options
from processors.overhearing import first_line, mends_for, reason_in
from processors.providers import CPU, CUDA, TENSORRT, Provider, check_packages, shares
from tests.unit.models import a_depth_net

GPU_ONLY = {"onnxruntime-gpu": "1.31.1"}
BOTH = {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"}
GPU_PROVIDERS = [TENSORRT, CUDA, CPU]


@pytest.mark.skipif(Path("/proc/driver/nvidia/version").exists(), reason="it may really work here")
@pytest.mark.parametrize("provider", [Provider.CUDA, Provider.TENSORRT])
def test_a_provider_that_is_not_there_is_an_error_and_never_the_cpu(
    tmp_path: Path, provider: Provider
) -> None:
    path = a_depth_net(tmp_path / "mean.onnx")
    without_it = r", onnxruntime .* has only .*CPU.*pip install .*"
    without_a_gpu = r" and is not active: .*this machine has no NVIDIA driver.*install NVIDIA's driver.*"
    expected = rf"provider {provider} was asked for({without_it}|{without_a_gpu})choose --provider cpu"
    with pytest.raises(ProviderUnavailable, match=expected):
        OnnxModel(path, provider, tuning=Tuning(tensorrt_cache=tmp_path))


def test_auto_says_what_it_chose_and_why_in_the_log_a_metric_and_each_result(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "framefuse.model"):
        model = OnnxModel(a_depth_net(tmp_path / "auto.onnx"))
    sha256 = model.identity.sha256
    provider = model.identity.provider
    assert re.search(rf"auto\.onnx runs on {provider}: .+ \(sha256 {sha256}\)", caplog.text)
    labels = {"model": "auto.onnx", "sha256": sha256, "provider": provider}
    assert REGISTRY.get_sample_value("framefuse_model_info", labels) == 1


@pytest.fixture
def a_gpu_that_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime offers CUDA, and makes a session without it, as it does where a library is missing."""
    make = ort.InferenceSession

    def without(*arguments: Any, providers: Sequence[Any], **more: Any) -> ort.InferenceSession:
        return make(*arguments, providers=[CPU], **more)

    monkeypatch.setattr(ort, "get_available_providers", lambda: GPU_PROVIDERS)
    monkeypatch.setattr(ort, "InferenceSession", without)


@pytest.mark.usefixtures("a_gpu_that_does_not_work")
@pytest.mark.parametrize("provider", [Provider.CUDA, Provider.TENSORRT])
def test_a_session_that_came_without_its_provider_is_a_failed_start(
    tmp_path: Path, provider: Provider
) -> None:
    with pytest.raises(ProviderUnavailable, match=rf"{provider} was asked for and is not active: "):
        OnnxModel(a_depth_net(tmp_path / "mean.onnx"), provider, tuning=Tuning(tensorrt_cache=tmp_path))


@pytest.mark.usefixtures("a_gpu_that_does_not_work")
def test_auto_that_found_a_gpu_and_could_not_use_it_warns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = OnnxModel(a_depth_net(tmp_path / "mean.onnx"))
    assert model.identity.provider == CPU
    assert [record.levelname for record in caplog.records if "runs on" in record.message] == ["WARNING"]


class SaysCuda:
    """A session that says it is on CUDA; where that is not so its first run there fails."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)

    def get_providers(self) -> list[str]:
        return [CUDA, CPU]

    def get_provider_graph_assignment_info(self) -> list[Any]:
        return []


@pytest.mark.skipif(Path("/proc/driver/nvidia/version").exists(), reason="it may really work here")
@pytest.mark.usefixtures("a_gpu_that_does_not_work")
def test_a_model_that_fails_its_first_run_on_a_gpu_does_not_start_there_and_auto_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make = ort.InferenceSession

    def first_one(*arguments: Any, providers: Sequence[Any], **more: Any) -> object:
        session = make(*arguments, providers=providers, **more)
        return SaysCuda(session) if CUDA in providers else session

    monkeypatch.setattr(ort, "InferenceSession", first_one)
    path = a_depth_net(tmp_path / "mean.onnx")
    with pytest.raises(ModelUnusable, match=r"mean\.onnx failed while running.*: try --provider cpu"):
        OnnxModel(path, Provider.CUDA)
    model = OnnxModel(path)
    assert model.identity.provider == CPU
    assert "CUDAExecutionProvider is there and cannot run it" in caplog.text


@pytest.mark.parametrize("provider", [Provider.CUDA, Provider.TENSORRT])
def test_two_runtimes_in_one_place_start_nothing_on_a_gpu(provider: Provider) -> None:
    with pytest.raises(ProviderUnavailable, match="are both installed and overwrite each other's files"):
        check_packages(provider, BOTH, GPU_PROVIDERS)


@pytest.mark.parametrize("provider", [Provider.AUTO, Provider.CPU])
def test_two_runtimes_in_one_place_are_a_warning_elsewhere(
    provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    check_packages(provider, BOTH, GPU_PROVIDERS)
    assert "are both installed" in caplog.text


def test_the_right_package_alone_is_no_reason_to_refuse() -> None:
    for provider in Provider:
        check_packages(provider, GPU_ONLY, GPU_PROVIDERS)


def test_a_provider_that_got_nothing_to_do_is_not_active() -> None:
    assert shares({CUDA: 12}, CUDA) == ""
    assert shares({}, CUDA) == ""
    assert shares({CUDA: 120, CPU: 4}, CUDA) == " (120 of 124 nodes, 4 on CPU)"
    with pytest.raises(ProviderUnavailable, match="TensorrtExecutionProvider can run none of the 124 nodes"):
        shares({CUDA: 120, CPU: 4}, TENSORRT)


MISSING_LIBRARY = (
    "2026-11-25 [E:onnxruntime:Default, provider_bridge_ort.cc:2251 TryGetProviderInfo_CUDA] "
    "/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:1844 onnxruntime::Provider& "
    "onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library "
    "/x/capi/libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open shared object file: "
    "No such file or directory\x1b[m"
)


def test_the_reason_names_the_library_and_not_a_line_of_source_code() -> None:
    reason = reason_in(["something else", MISSING_LIBRARY])
    assert reason.startswith(
        "libonnxruntime_providers_cuda.so does not load: libcublasLt.so.13: cannot open shared object file"
    )
    assert "onnxruntime_src" not in reason


CUDA_FAILURE = (  # shortened; seen with a driver that is too old for CUDA 13
    "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:146 std::conditional_t<THRW, void, Stat> "
    "onnxruntime::CudaCall(ERRTYPE, const char*) [with ERRTYPE = cudaError; bool THRW = true] "
    "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; hostname=vm"
)


def test_a_failure_of_cuda_is_told_without_source_code_and_the_name_of_the_host() -> None:
    said = first_line(RuntimeError(CUDA_FAILURE))
    assert said == "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version"


def test_engines_of_tensorrt_are_kept_by_content_where_the_settings_say(tmp_path: Path) -> None:
    settings = load(
        OnnxSettings, provider="tensorrt", tensorrt_cache=tmp_path / "engines", tensorrt_fp16=True
    )
    options = tensorrt_options(settings.tuning, "abc")
    assert options["trt_engine_cache_path"] == str(tmp_path / "engines" / "abc")
    assert (tmp_path / "engines" / "abc").is_dir()
    # The runtime refuses "1".
    assert (options["trt_engine_cache_enable"], options["trt_fp16_enable"]) == ("True", "True")
    assert tensorrt_options(Tuning(tensorrt_cache=tmp_path), "abc")["trt_fp16_enable"] == "False"


def test_a_folder_for_engines_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(BadInput, match=r"no engine can be kept in .*file: .*--tensorrt-cache"):
        tensorrt_options(Tuning(tensorrt_cache=tmp_path / "file"), "abc")


def test_an_unknown_provider_is_refused_before_anything_starts() -> None:
    with pytest.raises(BadInput, match="provider: Input should be 'auto', 'cpu', 'cuda' or 'tensorrt'"):
        load(OnnxSettings, provider="rocm")


def test_what_is_missing_is_told_with_what_brings_it() -> None:
    assert "onnxruntime-gpu[cuda,cudnn]" in mends_for("libcublasLt.so.13: cannot open shared object file")
    assert "tensorrt-cu13<11" in mends_for("libnvinfer.so.10: cannot open shared object file")
    no_driver = "libcuda.so.1: cannot open shared object file; this machine has no NVIDIA driver"
    assert mends_for(no_driver) == "install NVIDIA's driver; give this container the GPU; or "
    assert mends_for("CUDA failure 35: CUDA driver version is insufficient") == "update NVIDIA's driver; or "
    assert mends_for("something else") == ""


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        ({}, r"^no ONNX Runtime is installed: .*pip install .*onnxruntime, or for an NVIDIA GPU"),
        (
            {"onnxruntime": "1.32.0"},
            r"^onnxruntime does not load \(.*\): .*pip uninstall .*pip install .*onnxruntime$",
        ),
        (BOTH, r"are both installed and overwrite each other's files \(.*\): .*uninstall"),
    ],
)
def test_a_runtime_that_is_not_there_or_broken_is_told_with_what_mends_it(
    monkeypatch: pytest.MonkeyPatch, installed: dict[str, str], expected: str
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(runtime_packages, "onnxruntime_packages", lambda: installed)
    with pytest.raises(ModelUnusable, match=expected):
        runtime_packages.runtime()


def test_stages_show_their_help_and_settings_without_any_runtime() -> None:
    imported = "import sys; sys.modules['onnxruntime'] = None; import processors.{0}.stage"
    for stage in ("detection", "depth"):
        subprocess.run([sys.executable, "-c", imported.format(stage)], check=True, timeout=60)
