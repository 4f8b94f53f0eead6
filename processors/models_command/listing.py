"""What models there are on this machine: those that come with framefuse, and those that were fetched."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from processors.model_files.cache import Cache, names_in
from processors.model_files.hashing import file_sha256
from processors.models_command.wrapping import print_whole

_DEMO = {"detection": "demo-detector.onnx", "depth": "demo-depth.onnx"}


@dataclass(frozen=True, slots=True)
class Listed:
    """A model."""

    name: str
    address: str | None
    """Where it was fetched from, without secrets; None where no address leads to it any more."""
    sha256: str
    size_bytes: int
    path: str


@dataclass(frozen=True, slots=True)
class Everything:
    """All of them."""

    demo: Sequence[Listed]
    cached: Sequence[Listed]
    folder: Path
    """Of the cache."""


def everything(cache: Cache | None = None) -> Everything:
    """Look; the hashes of the cache are those that it was filled with, see `models check` for one."""
    there = cache or Cache()
    return Everything(_demo(), _cached(there), there.folder)


def as_dict(found: Everything) -> dict[str, Any]:
    """Plain values, for JSON."""
    return {
        "demo": [asdict(one) for one in found.demo],
        "cached": [asdict(one) for one in found.cached],
        "folder": str(found.folder),
    }


def show(found: Everything) -> None:
    """Print them."""
    console = Console(highlight=False)
    console.print("[bold]Demo models[/], which know synthetic scenes only")
    _print(console, found.demo, list(_DEMO))
    if not found.cached:
        print_whole(console, f"\nNothing is in the cache, {escape(str(found.folder))}")
        return
    total = sum({one.sha256: one.size_bytes for one in found.cached}.values())
    where = escape(str(found.folder))
    print_whole(console, f"\n[bold]Fetched[/], {size_of(total)} in {where}")
    _print(console, found.cached, [one.address or "an earlier state" for one in found.cached])


def size_of(count_bytes: int) -> str:
    """Bytes, for people."""
    return f"{count_bytes / 1e6:.1f} MB" if count_bytes >= 1e6 else f"{count_bytes / 1e3:.1f} kB"


def _print(console: Console, models: Sequence[Listed], whence: Sequence[str]) -> None:
    """Some lines for each: addresses and pins are copied, so they are never broken into two lines."""
    for model, place in zip(models, whence, strict=True):
        print_whole(console, escape(place))
        print_whole(console, f"  {escape(model.name)}, {size_of(model.size_bytes)}")
        print_whole(console, f"  [dim]#sha256:{model.sha256}[/]")


def _demo() -> list[Listed]:
    folder = Path(str(files("processors.models")))
    paths = [folder / name for name in _DEMO.values()]
    return [
        Listed(path.name, None, file_sha256(path), path.stat().st_size, str(path))
        for path in paths
        if path.is_file()
    ]


def _cached(cache: Cache) -> list[Listed]:
    known = [one for one in cache.all_known() if (cache.folder / one.sha256).is_dir()]
    listed = [_listed(cache, one.sha256, one.address) for one in known]
    rest = {folder.name for folder in cache.folder.glob("*") if len(folder.name) == 64 and folder.is_dir()}
    return listed + [_listed(cache, one, None) for one in sorted(rest - {entry.sha256 for entry in known})]


def _listed(cache: Cache, sha256: str, address: str | None) -> Listed:
    folder = cache.folder / sha256
    names = names_in(folder)
    main = next((name for name in names if name.endswith(".onnx")), "")
    size_bytes = sum((folder / name).stat().st_size for name in names)
    return Listed(main or "for torch", address, sha256, size_bytes, str(folder / main))
