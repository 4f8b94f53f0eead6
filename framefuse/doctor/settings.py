"""Settings in the environment and in `framefuse.yaml`: names that nothing reads are most often misspelt."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches

import yaml

from framefuse import plugins
from framefuse.doctor.findings import Check, Finding, Scene, Status, ok, warning
from framefuse.errors import FramefuseError
from framefuse.settings import SETTINGS_FILE, KafkaSettings, StageSettings

_SUBJECT = "settings"
_PREFIX = "FRAMEFUSE_"
OWN = frozenset({"BROKER_DATA", "INSTANCE", "MAVEN_REPOSITORY"})
"""Variables that no settings class has."""


def look(scene: Scene) -> Sequence[Finding]:
    """What is set, and which of it does something."""
    del scene
    return [examined(plugins.names(plugins.STAGES))]


def unread() -> Finding:
    """The same for every command: stages are imported only where something is set for them, or misspelt."""
    everything = plugins.names(plugins.STAGES)
    given = [*(name for name in os.environ if name.startswith(_PREFIX)), *in_file()]
    starts = {name: (f"{_PREFIX}{name.replace('-', '_').upper()}_", f"{name}.") for name in everything}
    found = examined([name for name in everything if any(one.startswith(starts[name]) for one in given)])
    return found if found.status is Status.OK else examined(everything)


def examined(among: Iterable[str]) -> Finding:
    """What is set, and which of it these stages or any command reads."""
    stages = _of_stages(among)
    variables = {f"{_PREFIX}{name}" for name in OWN}
    names = set(KafkaSettings.model_fields)
    kinds: list[type[KafkaSettings | StageSettings]] = [KafkaSettings, *stages]
    for kind in kinds:
        start = kind.model_config.get("env_prefix", _PREFIX)
        variables |= {f"{start}{field.upper()}" for field in kind.model_fields}
    for stage in stages:
        names |= {f"{stage.section}.{field}" for field in stage.model_fields}
    given = sorted(name for name in os.environ if name.startswith(_PREFIX))
    return judge(given, variables, in_file=in_file(), names=names)


def judge(
    given: Iterable[str], variables: Collection[str], *, in_file: Iterable[str], names: Collection[str]
) -> Finding:
    """Whether everything that is set is read by something.

    Args:
        given: variables of the environment that may be ours.
        variables: those that something reads.
        in_file: names in the file, those of a stage as `stage.name`.
        names: those that something reads.
    """
    given, in_file = list(given), list(in_file)
    unknown = [name for name in given if name not in variables]
    if unknown:
        near = get_close_matches(unknown[0], variables, n=1)
        mend = f"unset {unknown[0]}" + (f"; export {near[0]}=…" if near else "")
        return warning(_SUBJECT, f"nothing reads {', '.join(unknown)}", mend)
    unknown = [name for name in in_file if name not in names]
    if unknown:
        near = get_close_matches(unknown[0], names, n=1)
        mend = f"{near[0]} in {SETTINGS_FILE}" if near else f"remove {unknown[0]} from {SETTINGS_FILE}"
        return warning(_SUBJECT, f"nothing reads {', '.join(unknown)} in {SETTINGS_FILE}", mend)
    sources = [*([str(SETTINGS_FILE)] if in_file else []), *given]
    return ok(_SUBJECT, f"from {', '.join(sources)}" if sources else "all by default")


def in_file() -> list[str]:
    """The names in `framefuse.yaml`, those of a section as `section.name`."""
    if not SETTINGS_FILE.is_file():
        return []
    content = yaml.safe_load(SETTINGS_FILE.read_text("utf-8")) or {}
    found: list[str] = []
    for name, value in content.items():
        found += [f"{name}.{inner}" for inner in value] if isinstance(value, Mapping) else [str(name)]
    return found


def _of_stages(names: Iterable[str]) -> list[type[StageSettings]]:
    found = []
    for name in names:
        try:
            found.append(plugins.load_stage(name).settings)
        except (ImportError, FramefuseError):  # `stages` tells of it
            continue
    return found


CHECK = Check(_SUBJECT, look, timeout_s=10.0)
