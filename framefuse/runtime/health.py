"""/metrics, /healthz and /readyz of a process, over HTTP."""

import logging
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import REGISTRY
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from framefuse.errors import BadInput

log = logging.getLogger("framefuse.health")
FIRST_PORT = 9464
_PORTS_TRIED = 50

Check = Callable[[], str | None]
"""Why not, or None if all is well."""


class HealthServer:
    """Serves until closed, in a thread of its own."""

    def __init__(self, *, host: str, port: int | None, healthy: Check, ready: Check) -> None:
        """Listen.

        Args:
            host: address to listen on.
            port: the port; None: the first free one from 9464 on (several processes share a host).
            healthy: whether the process does its work; a failed check calls for a restart.
            ready: whether it takes part already.

        Raises:
            BadInput: nobody can listen there.
        """
        handler = _handler({"/healthz": healthy, "/readyz": ready})
        try:
            self._server = _bind(host, port, handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadInput(
                f"/metrics cannot listen on {host}:{port} ({reason}): choose another --metrics-port"
            ) from None
        self.address = f"{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _bind(host: str, port: int | None, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    candidates = [port] if port is not None else [*range(FIRST_PORT, FIRST_PORT + _PORTS_TRIED), 0]
    for candidate in candidates[:-1]:
        try:
            return ThreadingHTTPServer((host, candidate), handler)
        except OSError:
            continue
    return ThreadingHTTPServer((host, candidates[-1]), handler)


def _handler(checks: dict[str, Check]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, generate_latest(REGISTRY), CONTENT_TYPE_LATEST)
            elif self.path in checks:
                problem = checks[self.path]()
                self._answer(503 if problem else 200, (problem or "ok").encode() + b"\n", "text/plain")
            else:
                self._answer(404, b"/metrics, /healthz or /readyz\n", "text/plain")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            log.debug(format, *args)

    return Handler
