"""What the shell offers after an option, asked of the broker and given up on quickly; never an error."""

from collections.abc import Sequence

_PATIENCE_S = 1.0


def stream_ids(incomplete: str) -> Sequence[str]:
    """The streams that publishers have told of."""
    try:
        return sorted(name for name in _known() if name.startswith(incomplete))
    except Exception:  # whatever it is, a shell that completes is no place to tell of it
        return []


def _known() -> Sequence[str]:
    import socket

    from framefuse.kafka import resolve_bootstrap
    from framefuse.results.stream_states import StreamStates
    from framefuse.settings import KafkaSettings, load

    kafka = load(KafkaSettings)
    host, _, port = resolve_bootstrap(kafka).partition(",")[0].rpartition(":")
    socket.create_connection((host, int(port)), timeout=_PATIENCE_S).close()  # the client would wait for long
    with StreamStates(kafka) as states:
        return list(states.read(_PATIENCE_S))
