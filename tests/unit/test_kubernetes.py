"""What `kubectl apply -k k8s` would send: it follows the schemas, fits together, and can be sent again."""

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from framefuse.runtime.health import FIRST_PORT
from framefuse.settings import KafkaSettings
from processors.model_files.model import DEFAULT_MAX_BYTES

ROOT = Path(__file__).parents[2]
STAGES = ("camera", "depth", "detection", "join", "object-store", "statistics")
pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl to render with")
_MUTABLE_OF_A_STATEFUL_SET = ("replicas", "template", "updateStrategy", "ordinals", "minReadySeconds")


def manifests(folder: Path = ROOT / "k8s") -> list[dict[str, Any]]:
    """What `kubectl apply -k k8s` would send."""
    rendered = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True
    )
    return [document for document in yaml.safe_load_all(rendered.stdout) if document]


def is_stage(manifest: dict[str, Any]) -> bool:
    """Whether it runs workers."""
    return bool(manifest["kind"] == "Deployment" and manifest["metadata"]["name"] != "topics")


def stages(objects: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The Deployments that run workers."""
    return [manifest for manifest in objects if is_stage(manifest)]


def unchangeable(objects: Iterable[dict[str, Any]]) -> dict[tuple[str, str], Any]:
    """What the API server lets nobody change in an object that is there, by kind and name."""
    found: dict[tuple[str, str], Any] = {}
    for manifest in objects:
        kind, spec = manifest["kind"], manifest.get("spec", {})
        if kind == "Job":
            fixed: Any = spec
        elif kind == "StatefulSet":
            fixed = {name: value for name, value in spec.items() if name not in _MUTABLE_OF_A_STATEFUL_SET}
        elif kind == "Deployment":
            fixed = spec["selector"]
        else:
            fixed = manifest if manifest.get("immutable") else None
        found[kind, manifest["metadata"]["name"]] = fixed
    return found


def a_copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "k8s", tmp_path / "k8s"))


def replace_in(path: Path, pattern: str, by: str) -> None:
    """Edit a file as its reader would, or fail."""
    text, count = re.subn(pattern, by, path.read_text(encoding="utf-8"))
    assert count
    path.write_text(text, encoding="utf-8")


def test_every_kubernetes_object_follows_the_schema_of_its_kind() -> None:
    for manifest in manifests():
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_every_stage_is_a_deployment_with_probes_a_budget_and_a_name_of_its_own() -> None:
    objects = manifests()
    budgets = [o["metadata"]["name"] for o in objects if o["kind"] == "PodDisruptionBudget"]
    deployments = {o["metadata"]["name"]: o["spec"] for o in stages(objects)}
    assert sorted(budgets) == sorted(deployments) == sorted(STAGES)
    for name, spec in deployments.items():
        pod = spec["template"]["spec"]
        (worker,) = pod["containers"]
        assert worker["args"][:2] == ["run", name]
        assert worker["ports"][0]["containerPort"] == FIRST_PORT
        assert worker["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert worker["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert pod["terminationGracePeriodSeconds"] > 30
        (instance,) = worker["env"]
        assert instance["name"] == "FRAMEFUSE_INSTANCE"
        assert instance["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


def test_a_secret_goes_to_the_one_stage_that_needs_it() -> None:
    given: dict[str, list[str]] = {}
    for manifest in stages(manifests()):
        (worker,) = manifest["spec"]["template"]["spec"]["containers"]
        sources = worker["envFrom"]
        assert [
            one for one in sources if one.get("configMapRef", {}).get("name", "").startswith("framefuse-")
        ]
        for secret in (one["secretRef"]["name"] for one in sources if "secretRef" in one):
            given.setdefault(secret, []).append(manifest["metadata"]["name"])
    of_kafka = {f"framefuse-kafka-{stage}": [stage] for stage in STAGES}
    assert given == {
        "framefuse-object-store": ["object-store"],
        "framefuse-cameras": ["camera"],
        **of_kafka,
    }


def test_with_its_patch_taken_in_models_get_a_gpu_each_and_other_stages_none(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ROOT / "k8s", tmp_path / "k8s"))
    settings = folder / "kustomization.yaml"
    text = settings.read_text(encoding="utf-8")
    assert text.count("# - path: gpu.yaml") == 1
    settings.write_text(re.sub(r"(?m)^  # (- path: gpu|  target)", r"  \1", text), encoding="utf-8")
    with_gpu = []
    for manifest in manifests(folder):
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
        if is_stage(manifest):
            name, (worker,) = manifest["metadata"]["name"], manifest["spec"]["template"]["spec"]["containers"]
            if "nvidia.com/gpu" in worker["resources"].get("limits", {}):
                with_gpu.append(name)
                assert worker["image"] == "registry.example/framefuse-gpu:0.1.0"
                assert {"name": f"FRAMEFUSE_{name.upper()}_PROVIDER", "value": "cuda"} in worker["env"]
                assert worker["args"][:2] == ["run", name]
    assert sorted(with_gpu) == ["depth", "detection"]


@pytest.mark.parametrize(
    ("file", "pattern", "by"),
    [
        ("kustomization.yaml", r"newTag: 0\.1\.0", "newTag: 0.2.0"),
        ("kustomization.yaml", r"registry\.example", "registry.example:5000"),
        ("kustomization.yaml", r"=kafka\.kafka\.svc:9092", "=other.kafka.svc:9092"),
        ("topics.yaml", '"8"', '"16"'),
    ],
    ids=["tag", "registry", "setting", "partitions"],
)
def test_it_can_be_applied_again_after_a_change(tmp_path: Path, file: str, pattern: str, by: str) -> None:
    folder = a_copy(tmp_path)
    before = manifests(folder)
    replace_in(folder / file, pattern, by)
    after = manifests(folder)
    assert before != after
    fixed = unchangeable(before)
    changed = {
        key: value for key, value in unchangeable(after).items() if key in fixed and fixed[key] != value
    }
    assert changed == {}


def test_topics_are_made_anew_whenever_image_or_settings_change() -> None:
    (topics,) = (o for o in manifests() if (o["kind"], o["metadata"]["name"]) == ("Deployment", "topics"))
    pod = topics["spec"]["template"]["spec"]
    (create,) = pod["initContainers"]
    (worker,) = stages(manifests())[0]["spec"]["template"]["spec"]["containers"]
    assert create["args"][:2] == ["topics", "create"]
    assert create["image"] == worker["image"]
    (settings,) = [source for source in create["envFrom"] if "configMapRef" in source]
    assert settings in worker["envFrom"]


def mib(quantity: str) -> int:
    """`1Gi` as 1024."""
    number, unit = re.fullmatch(r"(\d+)([MG])i", quantity).groups()  # type: ignore[union-attr]  # or the test fails
    return int(number) * (1024 if unit == "G" else 1)


def option(arguments: list[str], name: str) -> int:
    return int(arguments[arguments.index(name) + 1])


def deployment(name: str) -> dict[str, Any]:
    (found,) = (o for o in manifests() if (o["kind"], o["metadata"]["name"]) == ("Deployment", name))
    pod: dict[str, Any] = found["spec"]["template"]["spec"]
    return pod


def test_what_the_join_may_hold_of_all_partitions_is_half_of_its_memory_at_most() -> None:
    (join,) = deployment("join")["containers"]
    partitions = option(deployment("topics")["initContainers"][0]["args"], "--partitions")
    held_mib = option(join["args"], "--pending-max-mib") * partitions
    assert 2 * held_mib <= mib(join["resources"]["limits"]["memory"])


def test_autoscalers_stop_where_workers_would_idle_and_see_live_frames_that_are_left_out() -> None:
    partitions = option(deployment("topics")["initContainers"][0]["args"], "--partitions")
    adapter = yaml.safe_load((ROOT / "monitoring" / "prometheus-adapter.yaml").read_text(encoding="utf-8"))
    offered = {rule["seriesQuery"].split("{")[0] for rule in adapter["rules"]["custom"]}
    scalers = [o for o in manifests() if o["kind"] == "HorizontalPodAutoscaler"]
    assert len(scalers) == 2
    for scaler in scalers:
        (worker,) = deployment(scaler["spec"]["scaleTargetRef"]["name"])["containers"]
        assert scaler["spec"]["maxReplicas"] * option(worker["args"], "--workers") <= partitions
        asked = {one["pods"]["metric"]["name"] for one in scaler["spec"]["metrics"] if "pods" in one}
        assert "framefuse_shed_rung" in asked
        assert asked == offered


def test_room_for_temporary_files_is_limited_and_holds_the_largest_model() -> None:
    for manifest in stages(manifests()):
        (tmp,) = (
            one["emptyDir"] for one in manifest["spec"]["template"]["spec"]["volumes"] if one["name"] == "tmp"
        )
        assert mib(tmp["sizeLimit"]) << 20 > DEFAULT_MAX_BYTES


def test_the_commented_lines_for_a_secured_broker_are_settings_that_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = a_copy(tmp_path)
    replace_in(folder / "kustomization.yaml", r"      - FRAMEFUSE_ALLOW_PLAINTEXT.*\n", "")
    replace_in(folder / "kustomization.yaml", r"# (- FRAMEFUSE_)", r"\1")
    objects = manifests(folder)
    for manifest in objects:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    (given,) = (o["data"] for o in objects if o["kind"] == "ConfigMap")
    mounted = {one["name"]: one["mountPath"] for one in deployment("join")["containers"][0]["volumeMounts"]}
    ca = Path(given["FRAMEFUSE_SSL_CA"])
    assert str(ca.parent) == mounted["kafka-ca"]
    (tmp_path / ca.name).write_text("", encoding="utf-8")
    secret = {"FRAMEFUSE_USERNAME": "join", "FRAMEFUSE_PASSWORD": "x"}
    for name, value in {**given, **secret, "FRAMEFUSE_SSL_CA": str(tmp_path / ca.name)}.items():
        monkeypatch.setenv(name, value)
    settings = KafkaSettings()
    assert (settings.security_protocol, settings.sasl_mechanism) == ("SASL_SSL", "SCRAM-SHA-512")
    assert settings.username == "join"
