"""Files that only other programs read: each follows its schema, and names what exists here."""

import json
import re
import shlex
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
import yaml
from typer.testing import CliRunner

from framefuse.cli import run, topics

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
COMPOSE_GPU: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text(encoding="utf-8"))
STAGES = ("camera", "depth", "detection", "join", "object-store", "statistics")
COMMANDS: dict[str, typer.Typer] = {"run": run.app, "topics": topics.app}


def our_commands() -> Iterator[list[str]]:
    """The arguments of `framefuse` in the manifests, as they stand there."""
    for service in COMPOSE["services"].values():
        if service["image"] == "framefuse":
            yield [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", part) for part in service["command"]]
    for path in sorted((ROOT / "k8s").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if document["kind"] == "Deployment":
                pod = document["spec"]["template"]["spec"]
                for container in [*pod.get("initContainers", []), *pod["containers"]]:
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
