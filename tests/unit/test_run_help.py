"""The help of `framefuse run STAGE` offers what that stage takes, and nothing else."""

import pytest
from typer.testing import CliRunner

from framefuse import plugins
from framefuse.cli.run import app


@pytest.mark.parametrize("name", plugins.names(plugins.STAGES))
def test_workers_are_offered_only_where_a_process_may_have_several(name: str) -> None:
    said = CliRunner().invoke(app, [name, "--help"]).output
    assert f"framefuse run {name}" in said
    assert ("--workers" in said) is (plugins.load_stage(name).main is None)
