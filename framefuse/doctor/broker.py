"""Whether the broker answers, and whether its own limits leave room for ours."""

import socket
import time
from collections.abc import Mapping, Sequence

from framefuse.broker import answers, running_bootstrap, unclaimed_bootstrap
from framefuse.doctor.findings import Check, Finding, Scene, ok, problem, warning
from framefuse.errors import FramefuseError
from framefuse.kafka import Admin

_SUBJECT, _SETTINGS = "broker", "broker settings"
_CONNECT_TIMEOUT_S = 1.5
_UP = "framefuse broker up"
_RESTART = "framefuse broker down; framefuse broker up"

AT_LEAST = {
    "transaction.max.timeout.ms": 10_000,
    "group.max.session.timeout.ms": 6_000,
    "socket.request.max.bytes": 8 << 20,
}
"""Of a broker's settings: below these our workers or records are refused."""
AT_MOST = {"group.min.session.timeout.ms": 6_000}
CLEANUP = "transaction.abort.timed.out.transaction.cleanup.interval.ms"
_SLOW_CLEANUP_MS = 1_000


def look(scene: Scene) -> Sequence[Finding]:
    """Connect, then ask."""
    if scene.bootstrap is None:
        return [_none_known()]
    silent = _listening(scene.bootstrap)
    if silent:
        mend = _UP if scene.kafka.bootstrap is None or _is_ours(scene) else "FRAMEFUSE_BOOTSTRAP=host:port"
        return [problem(_SUBJECT, f"nothing listens at {scene.bootstrap} ({silent})", mend)]
    if scene.kafka.security_protocol == "PLAINTEXT" and not _speaks(scene.bootstrap):
        if _is_ours(scene):
            text = f"ours at {scene.bootstrap} takes connections and does not answer: it is stuck"
            return [problem(_SUBJECT, text, _RESTART)]
        text = f"what listens at {scene.bootstrap} does not answer as a Kafka without TLS does"
        return [problem(_SUBJECT, text, _SECURITY)]
    began_s = time.monotonic()
    try:
        admin = Admin(scene.kafka)
        admin.partition_counts()
    except FramefuseError as error:
        return [problem(_SUBJECT, f"something listens at {scene.bootstrap}, but: {error}", _SECURITY)]
    took_ms = (time.monotonic() - began_s) * 1000
    configs = admin.broker_settings()
    several = f", {len(configs)} brokers" if len(configs) > 1 else ""
    found = [ok(_SUBJECT, f"Kafka answers at {scene.bootstrap} in {took_ms:.0f} ms{several}")]
    return [*found, *(judge(number, config) for number, config in configs.items())]


_SECURITY = "FRAMEFUSE_SECURITY_PROTOCOL=SASL_SSL, or as docs/security.md says"


def judge(number: int, config: Mapping[str, str]) -> Finding:
    """The settings of one broker."""
    for name, least in AT_LEAST.items():
        if name in config and int(config[name]) < least:
            return problem(
                _SETTINGS, f"{name} is {config[name]} on broker {number}", f"{name}={least} or more"
            )
    for name, most in AT_MOST.items():
        if name in config and int(config[name]) > most:
            return problem(
                _SETTINGS, f"{name} is {config[name]} on broker {number}", f"{name}={most} or less"
            )
    cleanup_ms = int(config.get(CLEANUP, _SLOW_CLEANUP_MS))
    if cleanup_ms > _SLOW_CLEANUP_MS:
        longest_s = (10_000 + cleanup_ms) / 1000
        text = f"a worker killed inside its transaction holds readers up for {longest_s:.0f} s"
        return warning(_SETTINGS, text, f"{CLEANUP}={_SLOW_CLEANUP_MS}")
    return ok(_SETTINGS, f"time-outs and limits fit, on broker {number}")


def _none_known() -> Finding:
    unclaimed = unclaimed_bootstrap()
    if unclaimed is None:
        return problem(_SUBJECT, "none runs on this machine, and FRAMEFUSE_BOOTSTRAP is not set", _UP)
    text = f"a Kafka answers at {unclaimed}, which is no broker that we know: is it one of another --data?"
    return problem(_SUBJECT, text, f"export FRAMEFUSE_BOOTSTRAP={unclaimed}")


def _listening(bootstrap: str) -> str:
    """Why none of these addresses takes a connection; empty when one does."""
    why = "no address"
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_TIMEOUT_S).close()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
        else:
            return ""
    return why


def _speaks(bootstrap: str) -> bool:
    """Whether one of these addresses speaks Kafka; one that is stuck does not."""
    return any(answers(one.strip(), _CONNECT_TIMEOUT_S) for one in bootstrap.split(","))


def _is_ours(scene: Scene) -> bool:
    return scene.bootstrap == running_bootstrap()


CHECK = Check(_SUBJECT, look, timeout_s=6.0)
