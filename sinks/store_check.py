"""What `framefuse doctor` asks of the store of results: whether it is there, takes results, and has room."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from framefuse.doctor.findings import Check, Finding, Scene, ok, problem, warning
from framefuse.errors import FramefuseError
from framefuse.settings import load
from sinks.object_store import ObjectStoreSettings
from sinks.result_store import SETTING, local_folder, open_results

_SUBJECT = "results store"
_GIB, _MIB = 1 << 30, 1 << 20
COMFORTABLE_BYTES = 1 * _GIB
_ELSEWHERE = f"room there, or export {SETTING}=A-ROOMIER-FOLDER"


def look(scene: Scene) -> Sequence[Finding]:
    """As the settings of `framefuse run object-store` here have it; a worker elsewhere may have others."""
    del scene
    settings = load(ObjectStoreSettings)
    folder = local_folder(settings.url)
    if folder is None:
        return [_remote(settings.url)]
    there = next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))
    if not there.is_dir():
        return [problem(_SUBJECT, f"{there} is a file, where {folder} should be", f"export {SETTING}=FOLDER")]
    if not os.access(there, os.W_OK | os.X_OK):
        say = problem if folder == there else warning
        return [say(_SUBJECT, f"{folder}: this user may not write in {there}", f"export {SETTING}=FOLDER")]
    free_bytes = shutil.disk_usage(there).free
    files = os.statvfs(there)
    if files.f_files and not files.f_favail:
        return [problem(_SUBJECT, f"{folder} has no room for one more file (inodes)", _ELSEWHERE)]
    return [judge(folder, free_bytes, file_bytes=settings.max_bytes)]


def judge(folder: Path, free_bytes: int, *, file_bytes: int) -> Finding:
    """Whether there is room for results.

    Args:
        folder: of the results.
        free_bytes: that are left there.
        file_bytes: of one result file, at most.
    """
    if free_bytes < file_bytes:
        text = (
            f"{folder} is full: {free_bytes / _MIB:.1f} of the {file_bytes / _MIB:g} MiB that a file may take"
        )
        return problem(_SUBJECT, text, _ELSEWHERE)
    text = f"{folder} can be written, {free_bytes / _GIB:.1f} GiB free"
    if free_bytes < COMFORTABLE_BYTES:
        return warning(_SUBJECT, text, _ELSEWHERE)
    return ok(_SUBJECT, text)


def _remote(url: str) -> Finding:
    """Whether it answers; writing is tried by nobody but the worker."""
    try:
        next(open_results(url).names("start", ""), None)
    except FramefuseError as error:
        return problem(_SUBJECT, str(error), f"{SETTING} and its credentials, as the worker has them")
    return ok(_SUBJECT, f"{url} answers")


CHECK = Check(_SUBJECT, look, timeout_s=45.0)
