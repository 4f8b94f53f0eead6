"""The command that a message names: for this environment, and for that of somebody else."""

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace

import pytest

from framefuse import installing
from framefuse.installing import install, install_extra, uninstall


def from_(monkeypatch: pytest.MonkeyPatch, said: Mapping[str, object] | None) -> None:
    text = None if said is None else json.dumps(said)
    monkeypatch.setattr(installing, "distribution", lambda _: SimpleNamespace(read_text=lambda _: text))


def with_pip(monkeypatch: pytest.MonkeyPatch, *, found: bool) -> None:
    monkeypatch.setattr(installing, "find_spec", lambda _: "there" if found else None)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment that was not activated, and a folder that is not the checkout."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "env/bin/python"))
    monkeypatch.setenv("PATH", str(tmp_path / "other/bin"))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def a_program(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


def test_the_command_works_in_this_environment_whether_or_not_it_was_activated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    command = ["sh", "-c", uninstall("no-such-package")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "Skipping no-such-package as it is not installed" in done.stdout + done.stderr


@pytest.mark.usefixtures("elsewhere")
def test_a_pip_of_another_python_is_never_named(monkeypatch: pytest.MonkeyPatch, elsewhere: Path) -> None:
    a_program(elsewhere / "other/bin/pip")
    with_pip(monkeypatch, found=True)
    assert install("pandas") == "env/bin/python -m pip install pandas"

    a_program(elsewhere / "env/bin/pip")
    monkeypatch.setenv("PATH", str(elsewhere / "env/bin"))
    assert install("jgo>=3.2,<4") == "pip install 'jgo>=3.2,<4'"
    assert uninstall("pandas") == "pip uninstall -y pandas"


def test_without_pip_uv_is_told_which_environment_is_meant(
    monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    with_pip(monkeypatch, found=False)
    assert install("pandas") == "env/bin/python -m ensurepip && env/bin/python -m pip install pandas"

    a_program(elsewhere / "env/bin/uv")
    assert install("pandas") == "env/bin/uv pip install --python env/bin/python pandas"

    a_program(elsewhere / "other/bin/uv")
    assert uninstall("pandas") == "uv pip uninstall --python env/bin/python pandas"

    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    assert install("pandas") == "uv pip install pandas"


def test_an_extra_of_ours_comes_from_where_framefuse_came_from(
    monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    with_pip(monkeypatch, found=True)
    pip = "env/bin/python -m pip install"
    editable = {"url": f"file://{elsewhere}", "dir_info": {"editable": True}}

    from_(monkeypatch, editable)
    assert install_extra("torch") == f"{pip} -e '.[torch]'"
    (elsewhere / "below").mkdir()
    monkeypatch.chdir(elsewhere / "below")
    pip = f"{elsewhere}/{pip}"
    assert install_extra("torch") == f"{pip} -e '{elsewhere}[torch]'"

    from_(monkeypatch, {"url": "file:///a/folder", "dir_info": {}})
    assert install_extra("torch") == f"{pip} 'framefuse[torch] @ file:///a/folder'"

    commit = {"vcs": "git", "commit_id": "abc"}
    from_(monkeypatch, {"url": "https://host/framefuse.git", "vcs_info": commit})
    assert install_extra("torch") == f"{pip} 'framefuse[torch] @ git+https://host/framefuse.git@abc'"


def test_a_checkout_that_was_never_installed_is_installed_from_its_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from_(monkeypatch, None)
    assert install_extra("torch").endswith("[torch]'")
    assert " -e " in install_extra("torch")


def test_our_extras_have_the_names_that_messages_use() -> None:
    assert {"statistics", "torch"} <= set(distribution("framefuse").metadata.get_all("Provides-Extra") or [])
