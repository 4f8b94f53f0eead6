"""sha256 of a file, and one for several files that only work together."""

import hashlib
from collections.abc import Mapping
from pathlib import Path


def file_sha256(path: Path) -> str:
    """Of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def joint_sha256(hashes: Mapping[str, str]) -> str:
    """Of several files.

    Args:
        hashes: sha256 by name; names are relative, with `/`.

    Returns:
        Of one file its own; of more that of the lines `sha256sum` prints for them, sorted by name.
    """
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    lines = "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()
