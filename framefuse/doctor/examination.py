"""Looks at every subject at the same time, each within its own time-out. Knows no subject but the broker.

A look that takes too long is left behind in its thread and said to have taken too long.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLong

from framefuse import plugins
from framefuse.doctor import broker, clock, disk, java, letters, settings, stages, topics
from framefuse.doctor.findings import Check, Finding, Scene, Status, not_asked, problem
from framefuse.errors import FramefuseError

log = logging.getLogger("framefuse.doctor")
_BEFORE = (settings.CHECK, java.CHECK)
_ON_THE_BROKER = (topics.CHECK, stages.CHECK, letters.CHECK, clock.CHECK)
_AFTER = (disk.CHECK,)
_BROUGHT_TIMEOUT_S = 60.0
"""A large model takes long to open."""
_NO_BROKER = "no broker"

Told = Callable[[str], None]
"""Told which subject is waited for."""


def examine(scene: Scene, told: Told = lambda subject: None) -> list[Finding]:
    """All findings, always in the same order of subjects."""
    rest = [*_BEFORE, *_brought(), *_AFTER]
    looks = {check.subject: _Look(check, scene) for check in (broker.CHECK, *rest) if not check.needs_broker}
    told(broker.CHECK.subject)
    reached = looks[broker.CHECK.subject].findings()
    answers = all(finding.status is not Status.PROBLEM for finding in reached)
    asked = [*_ON_THE_BROKER, *(check for check in rest if check.needs_broker)]
    if answers:
        looks |= {check.subject: _Look(check, scene) for check in asked}
    found: list[Finding] = []
    for check in (*_BEFORE, broker.CHECK, *_ON_THE_BROKER, *rest[len(_BEFORE) :]):
        told(check.subject)
        look = looks.get(check.subject)
        found += look.findings() if look else [not_asked(check.subject, _NO_BROKER)]
    return found


class _Look:
    """One check under way."""

    def __init__(self, check: Check, scene: Scene) -> None:
        self._check, self._began_s = check, time.monotonic()
        self._found: Future[Sequence[Finding]] = Future()
        threading.Thread(target=self._run, args=(scene,), name=f"doctor {check.subject}", daemon=True).start()

    def findings(self) -> Sequence[Finding]:
        """What was found, waiting for it as long as the check may take."""
        left_s = self._began_s + self._check.timeout_s - time.monotonic()
        try:
            return self._found.result(max(0.0, left_s))
        except TooLong:
            late = f"no answer within {self._check.timeout_s:g} s"
            return [problem(self._check.subject, late, "framefuse --debug doctor")]

    def _run(self, scene: Scene) -> None:
        try:
            self._found.set_result(self._check.look(scene))
        except FramefuseError as error:
            text, _, mend = str(error).rpartition(": ")
            self._found.set_result([problem(self._check.subject, text or mend, mend)])
        except Exception as error:  # one broken check, perhaps somebody else's, must not end the others
            log.debug("%s", self._check.subject, exc_info=error)
            text = f"the check itself failed: {type(error).__name__}: {error}"
            self._found.set_result([problem(self._check.subject, text, "framefuse --debug doctor")])


def _brought() -> Iterator[Check]:
    """What other packages check."""
    for name in plugins.names(plugins.CHECKS):
        yield Check(name, _ByName(name), timeout_s=_BROUGHT_TIMEOUT_S)


class _ByName:
    """A check of another package, imported in the thread that looks."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, scene: Scene) -> Sequence[Finding]:
        check = plugins.load_check(self._name)
        return check.look(scene)
