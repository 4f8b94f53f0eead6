"""The site has a way to every page, and asks no other host for anything."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from mkdocs.config.defaults import MkDocsConfig

from handbook import hooks
from tests.parts.documents import ROOT


@pytest.fixture
def config() -> MkDocsConfig:
    """What `make docs` builds with, after our own part of it."""
    raw = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    config = MkDocsConfig(config_file_path=str(ROOT / "mkdocs.yml"))
    config.load_dict({"docs_dir": str(ROOT / "docs"), "nav": raw["nav"]})
    hooks.on_config(config)
    return config


def leaves(nav: Any) -> Iterator[str]:  # noqa: ANN401 - as YAML has it
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from leaves(part)


def test_every_page_is_in_the_navigation_once(config: MkDocsConfig) -> None:
    pages = sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))
    assert sorted(leaves(config.nav)) == pages


def test_the_site_is_built_strictly_and_without_fonts_or_scripts_of_others() -> None:
    raw = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert raw["strict"] is True
    assert raw["theme"]["font"] is False
    assert raw["validation"]["links"] == dict.fromkeys(raw["validation"]["links"], "warn")
    assert "extra_javascript" not in raw
    assert re.findall(r"https?://", Path(ROOT / "docs" / "site.css").read_text("utf-8")) == []
