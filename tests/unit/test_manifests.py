"""Files that only other programs read: each follows its schema, and names what exists here."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import typer
import yaml
from typer.testing import CliRunner

from framefuse.cli import run, topics
from framefuse.runtime.health import FIRST_PORT

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
COMPOSE_GPU: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text(encoding="utf-8"))
STAGES = ("camera", "depth", "detection", "join", "object-store", "statistics")
COMMANDS: dict[str, typer.Typer] = {"run": run.app, "topics": topics.app}
NEEDS_KUBECTL = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl to render with")


def manifests(folder: Path = ROOT / "k8s") -> list[dict[str, Any]]:
    """What `kubectl apply -k k8s` would send."""
    rendered = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True
    )
    return [document for document in yaml.safe_load_all(rendered.stdout) if document]


def our_commands() -> Iterator[list[str]]:
    """The arguments of `framefuse` in the manifests, as they stand there."""
    for service in COMPOSE["services"].values():
        if service["image"] == "framefuse":
            yield [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", part) for part in service["command"]]
    for path in sorted((ROOT / "k8s").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if document["kind"] in ("Deployment", "Job"):
                for container in document["spec"]["template"]["spec"]["containers"]:
                    if "args" in container:
                        yield container["args"]


@pytest.mark.parametrize("content", [COMPOSE, COMPOSE_GPU], ids=["plain", "gpu"])
def test_the_compose_files_follow_the_compose_specification(content: dict[str, Any]) -> None:
    vendored = files("check_jsonschema.builtin_schemas") / "vendor" / "compose-spec.json"
    jsonschema.Draft7Validator(json.loads(vendored.read_text(encoding="utf-8"))).validate(content)


def test_compose_on_a_gpu_changes_only_stages_with_a_model_and_never_falls_back() -> None:
    assert sorted(COMPOSE_GPU["services"]) == ["depth", "detection"]
    for stage, service in COMPOSE_GPU["services"].items():
        assert stage in COMPOSE["services"]
        assert service["build"]["args"] == {"ACCELERATOR": "gpu"}
        assert service["environment"][f"FRAMEFUSE_{stage.upper()}_PROVIDER"] == "cuda"


def test_compose_starts_every_stage_after_the_topics() -> None:
    services = COMPOSE["services"]
    for stage in STAGES:
        assert services[stage]["command"][:2] == ["run", stage]
        assert services[stage]["depends_on"]["topics"]["condition"] == "service_completed_successfully"


def test_compose_mounts_only_files_that_are_there() -> None:
    mounted = [
        volume.split(":")[0]
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]
    assert mounted
    assert [path for path in mounted if not (ROOT / path).is_file()] == []


def test_prometheus_asks_every_stage() -> None:
    settings = yaml.safe_load((ROOT / "monitoring" / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = settings["scrape_configs"]
    assert tuple(job["dns_sd_configs"][0]["names"]) == STAGES


@pytest.mark.parametrize("arguments", list(our_commands()), ids=shlex.join)
def test_every_command_in_a_manifest_is_one_of_ours(arguments: list[str]) -> None:
    command, *rest = arguments
    result = CliRunner().invoke(COMMANDS[command], [*rest, "--help"])
    assert result.exit_code == 0, result.output


@NEEDS_KUBECTL
def test_every_kubernetes_object_follows_the_schema_of_its_kind() -> None:
    for manifest in manifests():
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


@NEEDS_KUBECTL
def test_every_stage_is_a_deployment_with_probes_a_budget_and_a_name_of_its_own() -> None:
    objects = manifests()
    budgets = [o["metadata"]["name"] for o in objects if o["kind"] == "PodDisruptionBudget"]
    deployments = {o["metadata"]["name"]: o["spec"] for o in objects if o["kind"] == "Deployment"}
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


@NEEDS_KUBECTL
def test_a_secret_goes_to_the_one_stage_that_needs_it() -> None:
    given: dict[str, list[str]] = {}
    for manifest in manifests():
        if manifest["kind"] == "Deployment":
            (worker,) = manifest["spec"]["template"]["spec"]["containers"]
            sources = worker["envFrom"]
            assert [
                one for one in sources if one.get("configMapRef", {}).get("name", "").startswith("framefuse-")
            ]
            for secret in (one["secretRef"]["name"] for one in sources if "secretRef" in one):
                given.setdefault(secret, []).append(manifest["metadata"]["name"])
    assert given == {"framefuse-object-store": ["object-store"], "framefuse-cameras": ["camera"]}


@NEEDS_KUBECTL
def test_with_its_patch_taken_in_models_get_a_gpu_each_and_other_stages_none(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ROOT / "k8s", tmp_path / "k8s"))
    settings = folder / "kustomization.yaml"
    text = settings.read_text(encoding="utf-8")
    assert text.count("# - path: gpu.yaml") == 1
    settings.write_text(re.sub(r"(?m)^  # (- path: gpu|  target)", r"  \1", text), encoding="utf-8")
    with_gpu = []
    for manifest in manifests(folder):
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
        if manifest["kind"] == "Deployment":
            name, (worker,) = manifest["metadata"]["name"], manifest["spec"]["template"]["spec"]["containers"]
            if "nvidia.com/gpu" in worker["resources"].get("limits", {}):
                with_gpu.append(name)
                assert worker["image"] == "registry.example/framefuse-gpu:0.1.0"
                assert {"name": f"FRAMEFUSE_{name.upper()}_PROVIDER", "value": "cuda"} in worker["env"]
                assert worker["args"][:2] == ["run", name]
    assert sorted(with_gpu) == ["depth", "detection"]
