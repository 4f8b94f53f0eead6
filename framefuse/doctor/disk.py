"""Room for what the broker of this machine writes, or where the broker is elsewhere, for our caches."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from framefuse.broker import default_data_dir
from framefuse.doctor.findings import Check, Finding, Scene, ok, problem, warning

_SUBJECT = "disk"
_GIB = 1 << 30
LEAST_BYTES, COMFORTABLE_BYTES = 1 * _GIB, 8 * _GIB
"""The default of four partitions keeps up to 8 GiB of frames."""
_ELSEWHERE = "framefuse broker down; export FRAMEFUSE_BROKER_DATA=A-ROOMIER-FOLDER; framefuse broker up"
_CACHE_ELSEWHERE = "export XDG_CACHE_HOME=A-ROOMIER-FOLDER"


def look(scene: Scene) -> Sequence[Finding]:
    """The folder of the embedded broker; that of our caches, of models most of all, where it is elsewhere."""
    if scene.kafka.bootstrap is not None:
        cache = platformdirs.user_cache_path("framefuse")
        return [judge_cache(cache, _free(cache))]
    folder = default_data_dir()
    return [judge(folder, _free(folder), _used(folder / "log"))]


def judge(folder: Path, free_bytes: int, log_bytes: int) -> Finding:
    """Whether the log can grow as it may."""
    held = f", the log holds {log_bytes / _GIB:.1f} GiB" if log_bytes else ""
    text = f"{free_bytes / _GIB:.1f} GiB free for {folder}{held}"
    if free_bytes < LEAST_BYTES:
        return problem(_SUBJECT, f"{text}: the broker stops where its disk is full", _ELSEWHERE)
    if free_bytes + log_bytes < COMFORTABLE_BYTES:
        return warning(_SUBJECT, f"{text}: frames of four partitions may take 8 GiB", _ELSEWHERE)
    return ok(_SUBJECT, text)


def judge_cache(folder: Path, free_bytes: int) -> Finding:
    """Whether models that are fetched have room."""
    text = f"{free_bytes / _GIB:.1f} GiB free for {folder}"
    if free_bytes < LEAST_BYTES:
        return warning(_SUBJECT, f"{text}: a model that is fetched may not fit", _CACHE_ELSEWHERE)
    return ok(_SUBJECT, text)


def _free(folder: Path) -> int:
    """Bytes that are left where this folder is, or will be."""
    there = next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))
    return shutil.disk_usage(there).free


def _used(folder: Path) -> int:
    """Bytes really taken: Kafka reserves room for its indexes beforehand, as holes."""
    return sum(_taken(path) for path in folder.rglob("*"))


def _taken(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except OSError:  # a segment that retention removed meanwhile
        return 0


CHECK = Check(_SUBJECT, look)
