"""The settings of this environment: names that nothing reads are most often misspelt."""

import os
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from framefuse import plugins
from framefuse.doctor.findings import Check, Finding, Scene, ok, warning
from framefuse.errors import FramefuseError
from framefuse.settings import SETTINGS_FILE, KafkaSettings, StageSettings

_SUBJECT = "settings"
_PREFIX = "FRAMEFUSE_"
OWN = frozenset({"BROKER_DATA", "INSTANCE", "MAVEN_REPOSITORY", "DEBUG"})
"""Variables that no settings class has."""


def look(scene: Scene) -> Sequence[Finding]:
    """Which variables are set, and which of them do something."""
    del scene
    known = {f"{_PREFIX}{name}" for name in OWN}
    kinds: list[type[KafkaSettings | StageSettings]] = [KafkaSettings, *_of_stages()]
    for kind in kinds:
        start = kind.model_config.get("env_prefix", _PREFIX)
        known |= {f"{start}{field.upper()}" for field in kind.model_fields}
    given = sorted(name for name in os.environ if name.startswith(_PREFIX))
    return [judge(given, known, from_file=SETTINGS_FILE.is_file())]


def judge(given: Iterable[str], known: Collection[str], *, from_file: bool) -> Finding:
    """Whether every variable that is set is read by something."""
    given = list(given)
    unknown = [name for name in given if name not in known]
    if unknown:
        near = get_close_matches(unknown[0], known, n=1)
        mend = f"unset {unknown[0]}" + (f"; export {near[0]}=…" if near else "")
        return warning(_SUBJECT, f"nothing reads {', '.join(unknown)}", mend)
    sources = [*(["framefuse.yaml"] if from_file else []), *given]
    return ok(_SUBJECT, f"from {', '.join(sources)}" if sources else "all by default")


def _of_stages() -> list[type[StageSettings]]:
    found = []
    for name in plugins.names(plugins.STAGES):
        try:
            found.append(plugins.load_stage(name).settings)
        except (ImportError, FramefuseError):  # `stages` tells of it
            continue
    return found


CHECK = Check(_SUBJECT, look, timeout_s=10.0)
