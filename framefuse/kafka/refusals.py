"""What the broker says to who is not let in or lacks a right, in words that say who, what and where."""

import re
from typing import Any

import confluent_kafka as ck

from framefuse.errors import AccessDenied
from framefuse.kafka.connection import resolve_security
from framefuse.kafka.security import SEE
from framefuse.settings import KafkaSettings

_RIGHTS = {
    ck.KafkaError.TOPIC_AUTHORIZATION_FAILED: "the topic {topic}",
    ck.KafkaError.GROUP_AUTHORIZATION_FAILED: "the group {group}",
    ck.KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "the transactional id {writer}",
    ck.KafkaError.CLUSTER_AUTHORIZATION_FAILED: "the cluster",
}
_CONNECTION = re.compile(r"^(?:\w+://)?\S+?/\w+: (?:Connect to \S+ failed: )?| \(after [^()]*\)$")
_IDENTITY = frozenset(
    {
        ck.KafkaError._AUTHENTICATION,
        ck.KafkaError._SSL,
        ck.KafkaError.SASL_AUTHENTICATION_FAILED,
        ck.KafkaError.UNSUPPORTED_SASL_MECHANISM,
        ck.KafkaError.ILLEGAL_SASL_STATE,
    }
)


def lacks_right(error: Any) -> bool:  # noqa: ANN401 - an error of the client library, loosely typed there
    """Whether the broker knows us and says no; no waiting mends it."""
    return error.code() in _RIGHTS


def is_unknown(error: Any) -> bool:  # noqa: ANN401 - as above
    """Whether broker and client do not believe each other who they are."""
    return error.code() in _IDENTITY


def denied(
    settings: KafkaSettings,
    error: Any,  # noqa: ANN401 - as above
    doing: str,
    *,
    topic: str | None = None,
    group: str | None = None,
    writer: str | None = None,
) -> AccessDenied:
    """The error to raise when a right is missing.

    Args:
        settings: of the client that was refused.
        error: what it was told.
        doing: the verb, such as "read" or "write".
        topic: which topic, where the caller knows; else what the broker says has to do.
        group: which consumer group.
        writer: which transactional id.
    """
    names = {"topic": topic or "", "group": group or "", "writer": writer or ""}
    what = " ".join(_RIGHTS[error.code()].format(**names).split())
    if topic is not None and error.code() == ck.KafkaError.CLUSTER_AUTHORIZATION_FAILED and doing == "write":
        what = f"{topic}, nor any other topic"  # who may write one may also have an idempotent producer
    return AccessDenied(
        f"{resolve_security(settings).who} may not {doing} {what} ({said(error)}): "
        f"'framefuse topics acls' lists the rights of every stage, {SEE}"
    )


def not_believed(settings: KafkaSettings, error: Any, bootstrap: str) -> AccessDenied:  # noqa: ANN401
    """The error to raise when broker and client do not believe each other who they are."""
    security = resolve_security(settings)
    if error.code() == ck.KafkaError._SSL:
        trusted = security.ssl_ca or "the authorities of this system"
        mend = f"trusted is {trusted} (FRAMEFUSE_SSL_CA)"
        return AccessDenied(f"no TLS with {bootstrap} ({said(error)}): {mend}, {SEE}")
    return AccessDenied(
        f"{bootstrap} does not take us for {security.who} by {security.mechanism or security.protocol} "
        f"({said(error)}): {SEE}"
    )


def is_refused(error: Any) -> bool:  # noqa: ANN401 - as above
    """Whether the host is there and says that nobody listens."""
    return nobody_listens(error) and "Connection refused" in str(error.str())


def nobody_listens(error: Any) -> bool:  # noqa: ANN401 - as above
    """Whether there was no connection at all, so that how we speak is no matter."""
    return str(error.str()).endswith("in state CONNECT)")


def said(error: Any) -> str:  # noqa: ANN401 - as above
    """Its text without the connection it came from and its state."""
    text = " ".join(error.str().split())
    return _CONNECTION.sub("", text)
