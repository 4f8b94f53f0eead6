"""Alerts and the dashboard: they ask for what exists, fire when they should, and say what to do."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from framefuse import metrics
from framefuse.errors import Poison
from framefuse.runtime.dead_letters import error_names

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "monitoring"
DASHBOARD = MONITORING / "grafana" / "framefuse.json"
ALERT_TESTS = Path(__file__).with_name("alerts.test.yml")
RULES: list[dict[str, Any]] = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))[
    "groups"
][0]["rules"]
NEEDS_PROMTOOL = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool to run rules with")


def on_the_dashboard() -> Iterator[str]:
    """Its PromQL."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    yield from (target["expr"] for panel in dashboard["panels"] for target in panel["targets"])


def known() -> set[str]:
    """Names of metrics as Prometheus has them."""
    names = {metric.name for metric in REGISTRY.collect()}
    assert metrics.LAG._name in names
    return names | {f"{name}{end}" for name in names for end in ("_total", "_bucket", "_sum", "_count")}


def test_alerts_and_dashboard_ask_only_for_metrics_that_exist() -> None:
    expressions = [*(rule["expr"] for rule in RULES), *on_the_dashboard()]
    asked = {name for text in expressions for name in re.findall(r"framefuse_\w+", text)}
    assert asked
    assert sorted(asked - known()) == []


def test_pages_about_operation_name_only_metrics_that_exist() -> None:
    pages = [MONITORING / "README.md", *(ROOT / "k8s").iterdir(), *(ROOT / "docs").rglob("*.md")]
    named = {
        name
        for page in pages
        for name in re.findall(r"\bframefuse_[a-z_]+\b", page.read_text(encoding="utf-8"))
    }
    assert sorted(name for name in named if name not in known() and not name.endswith("_")) == []


def test_every_metric_of_a_worker_is_on_the_dashboard() -> None:
    ours = {metric.name for metric in REGISTRY.collect() if metric.name.startswith("framefuse_")}
    of_publishers = {
        *{"framefuse_published", "framefuse_rejected", "framefuse_dropped"},
        "framefuse_damaged_packets",
    }
    text = DASHBOARD.read_text(encoding="utf-8")
    assert sorted(name for name in ours - of_publishers if name not in text) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_to_do_and_stands_in_the_list(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description"}
    text = (MONITORING / "README.md").read_text(encoding="utf-8")
    assert f"| `{rule['alert']}` |" in text


@NEEDS_PROMTOOL
def test_alerts_fire_when_they_should_and_not_before() -> None:
    run = subprocess.run(
        ["promtool", "test", "rules", str(ALERT_TESTS)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_queries_of_the_dashboard_that_are_tested_are_those_on_it() -> None:
    tests = yaml.safe_load(ALERT_TESTS.read_text(encoding="utf-8"))["tests"]
    tested = {one["expr"] for test in tests for one in test.get("promql_expr_test", [])}
    assert tested
    assert sorted(tested - set(on_the_dashboard())) == []


def test_losses_and_dead_letters_are_counted_from_0_by_each_class_of_error() -> None:
    class TooHot(Poison):
        """An error of somebody's own stage."""

    metrics.begin_at_zero("near", error_names())

    assert REGISTRY.get_sample_value("framefuse_lost_total", {"stage": "near"}) == 0
    for error in ("UndecodableRecord", "UnreadableImage", "ModelFailed", TooHot.__name__):
        labels = {"stage": "near", "error": error}
        assert REGISTRY.get_sample_value("framefuse_dead_letters_total", labels) == 0
