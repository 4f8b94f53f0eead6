"""What is installed is what is here: every package listed, nothing of others, data files in the wheel."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LISTED: list[str] = PROJECT["tool"]["setuptools"]["packages"]
TOP_LEVEL = sorted({name.split(".")[0] for name in LISTED})
DATA = ("*.avsc", "*.json", "*.onnx", "*.lock", "py.typed", "SHA256SUMS")


def test_the_list_of_packages_names_every_package_and_no_other() -> None:
    found = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for top in TOP_LEVEL
        for init in (ROOT / top).rglob("__init__.py")
    }
    assert sorted(LISTED) == sorted(found)


@pytest.mark.parametrize("name", LISTED)
def test_a_listed_package_is_ours_and_not_one_of_the_same_name(name: str) -> None:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin) == ROOT.joinpath(*name.split("."), "__init__.py")


def test_what_runs_models_is_in_no_lock_but_its_own_and_in_none_twice() -> None:
    found = {
        path.stem: re.findall(r"(?m)^(onnxruntime[a-z-]*)==", path.read_text(encoding="utf-8"))
        for path in (ROOT / "requirements").glob("*.txt")
    }
    assert {name: packages for name, packages in found.items() if packages} == {
        "cpu": ["onnxruntime"],
        "gpu": ["onnxruntime-gpu"],
    }
    assert not [need for need in PROJECT["project"]["dependencies"] if need.startswith("onnxruntime")]


def test_no_package_holds_code_in_its_init() -> None:
    for top in TOP_LEVEL:
        for init in (ROOT / top).rglob("__init__.py"):
            lines = init.read_text(encoding="utf-8").splitlines()
            assert not [line for line in lines if line.startswith(("def ", "class ", "if ", "for "))], init


@pytest.mark.parametrize(
    ("group", "name"),
    [(group, name) for group, names in PROJECT["project"]["entry-points"].items() for name in names],
)
def test_every_entry_point_is_installed_and_loads(group: str, name: str) -> None:
    (entry,) = entry_points(group=group, name=name)
    assert entry.value == PROJECT["project"]["entry-points"][group][name]
    assert entry.load() is not None


def test_the_wheel_holds_all_modules_and_data_files_and_nothing_else(tmp_path: Path) -> None:
    wheel = a_wheel(tmp_path)
    packed = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    here = {
        path.relative_to(ROOT).as_posix()
        for top in TOP_LEVEL
        for pattern in ("*.py", *DATA)
        for path in (ROOT / top).rglob(pattern)
    }
    assert {name for name in packed - here if not name.endswith(".md")} == set()
    assert here - packed == set()


def a_wheel(folder: Path) -> Path:
    """Built from a copy, so that no file of an earlier build can slip in."""
    for top in TOP_LEVEL:
        copytree(ROOT / top, folder / top, ignore=ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel
