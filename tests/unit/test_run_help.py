"""The help of `framefuse run STAGE` offers what that stage takes, and nothing else."""

import re

import pytest
from typer.testing import CliRunner

from framefuse import plugins
from framefuse.cli.run import app


@pytest.mark.parametrize("name", plugins.names(plugins.STAGES))
def test_workers_are_offered_only_where_a_process_may_have_several(name: str) -> None:
    said = CliRunner().invoke(app, [name, "--help"]).output
    assert f"framefuse run {name}" in said
    assert re.search(r"is also FRAMEFUSE_[A-Z_]+ ─", said), "the name of the variable is cut"
    assert ("--workers" in said) is (plugins.load_stage(name).main is None)
