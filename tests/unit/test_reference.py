"""The reference is made from the code: every command, setting, metric, record and topic is in it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from prometheus_client import REGISTRY

from framefuse import plugins
from framefuse.cli.main import app
from framefuse.doctor.settings import OWN
from framefuse.settings import KafkaSettings
from handbook.commands import commands
from handbook.made import filled
from handbook.metrics import all_metrics
from handbook.settings import all_settings
from schemas.topics import ALL
from tests.parts.documents import ROOT

_LINES = re.MULTILINE
REFERENCE = ROOT / "docs" / "reference"


def page(name: str) -> str:
    return filled((REFERENCE / f"{name}.md").read_text("utf-8"))


@pytest.fixture(scope="module")
def told_commands() -> str:
    return page("commands")


@pytest.fixture(scope="module")
def told_settings() -> str:
    return page("settings")


def leaves(command: Any, path: str, parent: Any = None) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - typer's
    context = command.make_context(path, [], parent=parent, resilient_parsing=True)
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    for name in command.list_commands(context):
        yield from leaves(command.get_command(context, name), f"{path} {name}", context)


def test_every_command_with_every_option_that_is_shown_is_in_the_reference(told_commands: str) -> None:
    sections = dict(
        re.findall(r"^##+ (framefuse[^\n]*)\n(.*?)(?=^##+ |\Z)", told_commands, _LINES | re.DOTALL)
    )
    seen = list(leaves(typer.main.get_command(app), "framefuse"))
    assert len(seen) > 20
    for path, command in seen:
        for parameter in command.params:
            if not parameter.hidden:
                assert parameter.opts[0] in sections[path] or parameter.param_type_name == "argument"


def test_every_command_has_an_example_that_is_its_own() -> None:
    for command in commands():
        assert re.search(rf"^\[cyan\]{re.escape(command.name)}", command.help, _LINES), command.name


def test_markup_of_the_terminal_is_gone_from_the_reference(told_commands: str, told_settings: str) -> None:
    for text in (told_commands, told_settings):
        assert re.findall(r"\[/?(?:cyan|bold|dim)\]|\x02", text) == []


def test_every_setting_of_every_stage_and_of_kafka_is_in_the_reference(told_settings: str) -> None:
    for stage in plugins.names(plugins.STAGES):
        loaded = plugins.load_stage(stage)
        own = [key for key in loaded.settings.model_fields if not key.startswith("dead_letter")]
        for key in own:
            assert f"`FRAMEFUSE_{stage.replace('-', '_').upper()}_{key.upper()}`" in told_settings
    for key in KafkaSettings.model_fields:
        assert f"`FRAMEFUSE_{key.upper()}`" in told_settings
    for name in OWN:
        assert f"`FRAMEFUSE_{name}`" in told_settings


def test_a_setting_is_told_with_its_names_kind_range_default_and_meaning(told_settings: str) -> None:
    (found,) = [one for one in all_settings() if one.variable == "FRAMEFUSE_DETECTION_BATCH_MAX"]
    assert (found.section, found.key, found.flag) == ("detection", "batch_max", "--batch-max")
    assert (found.kind, found.default, found.meaning) == ("integer, ≥ 1", "`8`", "Most frames in one batch.")
    row = "| `batch_max`<br>`--batch-max`<br>`FRAMEFUSE_DETECTION_BATCH_MAX` | integer, ≥ 1 | `8` |"
    assert row in told_settings


def test_no_secret_has_an_option() -> None:
    assert [one.key for one in all_settings() if one.kind == "secret" and one.flag] == []


def test_every_metric_and_what_its_labels_mean_is_in_the_reference() -> None:
    told = page("metrics")
    ours = {family.name for family in REGISTRY.collect() if family.name.startswith("framefuse_")}
    assert len(ours) > 20
    assert {one.name.removesuffix("_total") for one in all_metrics()} == ours
    for metric in all_metrics():
        assert f"`{metric.name}`" in told
        assert [
            label for label in metric.labels if not re.search(rf"^\|.*`{label}`.* \|", told, _LINES)
        ] == []


def test_every_field_of_every_record_is_in_the_reference() -> None:
    told = page("records")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", told, _LINES | re.DOTALL))
    for file in (ROOT / "schemas").glob("*.avsc"):
        schema = json.loads(file.read_text("utf-8"))
        for name in field_names(schema):
            assert f"| `{name}` |" in sections[schema["name"]]


def field_names(schema: Any) -> Iterator[str]:  # noqa: ANN401 - any part of a schema
    if isinstance(schema, list):
        for part in schema:
            yield from field_names(part)
    if isinstance(schema, dict):
        yield from (field["name"] for field in schema.get("fields", ()))
        for part in schema.values():
            yield from field_names(part)


def test_every_topic_is_in_the_reference_with_how_it_is_kept() -> None:
    told = page("topics")
    for topic in ALL:
        assert f"| `{topic.name('framefuse')}` |" in told
    assert (
        "| `framefuse.frames` | [Frame](records.md#frame) | stream id | as asked | "
        "1 h, 2 GiB a partition at most | 5 MiB |"
    ) in told


def test_a_page_that_asks_for_what_nobody_makes_is_refused() -> None:
    with pytest.raises(KeyError, match="poems"):
        filled("# Poems\n\n<!-- made from the code: poems -->\n")


def test_every_page_of_the_reference_is_filled() -> None:
    pages = sorted(Path(REFERENCE).glob("*.md"))
    assert [one.stem for one in pages] == ["commands", "metrics", "records", "settings", "topics"]
    assert [one for one in pages if "<!-- made from" not in one.read_text("utf-8")] == []
