"""The commands that install packages where this process runs, to be pasted as they are.

Knows pip and uv, and where framefuse itself came from: no index has it. Runs nothing.
"""

import json
import os
import shlex
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

_CHECKOUT = Path(__file__).resolve().parents[1]


def install(*what: str) -> str:
    """The command that installs requirements, or passes on options, into this environment."""
    return _command("install", what)


def uninstall(*packages: str) -> str:
    """The command that removes packages from it, without asking."""
    return _command("uninstall", packages if _has_uv() else ("-y", *packages))


def install_extra(name: str) -> str:
    """The command that adds one of our extras, such as `torch`, to the framefuse that is installed here."""
    where, editable = origin()
    if editable:
        return install("-e", f"{_shown(Path(where))}[{name}]")
    return install(f"framefuse[{name}] @ {where}" if where else f"framefuse[{name}]")


def origin() -> tuple[str, bool]:
    """From where framefuse was installed, and whether it runs from there (a folder)."""
    try:
        said = json.loads(distribution("framefuse").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        said = {}
    address = str(said.get("url", ""))
    if said.get("dir_info", {}).get("editable"):
        return unquote(urlsplit(address).path), True
    if not address and (_CHECKOUT / "pyproject.toml").is_file():
        return str(_CHECKOUT), True
    kind = said.get("vcs_info", {})
    return (f"{kind['vcs']}+{address}@{kind['commit_id']}" if kind else address), False


def _command(verb: str, words: tuple[str, ...]) -> str:
    return " ".join((_program(verb), *map(shlex.quote, words)))


def _program(verb: str) -> str:
    python = shlex.quote(_shown(Path(sys.executable)))
    if find_spec("pip"):
        found = shutil.which("pip")
        ours = found is not None and Path(found).parent == Path(sys.executable).parent
        return f"pip {verb}" if ours else f"{python} -m pip {verb}"
    if not _has_uv():
        return f"{python} -m ensurepip && {python} -m pip {verb}"
    uv = "uv" if shutil.which("uv") else shlex.quote(_shown(_uv_beside()))
    activated = os.environ.get("VIRTUAL_ENV") == sys.prefix
    return f"{uv} pip {verb}" if activated else f"{uv} pip {verb} --python {python}"


def _has_uv() -> bool:
    return not find_spec("pip") and (shutil.which("uv") is not None or _uv_beside().exists())


def _uv_beside() -> Path:
    return Path(sys.executable).with_name("uv")


def _shown(path: Path) -> str:
    """A path as one types it where one stands."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (OSError, ValueError):  # that folder is gone, or does not hold it
        return str(path)
