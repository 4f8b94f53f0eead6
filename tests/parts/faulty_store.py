"""Before a real S3 server: passes requests on, and lets every other write fail in one of the known ways."""

import http.client
import socket
import struct
import threading
from collections import Counter
from contextlib import suppress
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from urllib.parse import urlsplit

FAULTS = ("429", "500", "reset", "answer lost")
"""Too many requests, broken inside, no connection, and done but never told."""
_OURS = {"content-length", "transfer-encoding", "connection"}


class FaultyStore(ThreadingHTTPServer):
    """Every second PUT fails, in turn by each fault; `seen` counts them."""

    daemon_threads = True

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind, self.seen = urlsplit(behind).netloc, Counter[str]()
        self._turns = cycle(step for fault in FAULTS for step in (None, fault))
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, name="faulty store")

    @property
    def endpoint(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self.server_port}"

    def next_fault(self) -> str | None:
        """What becomes of this write."""
        with self._lock:
            fault = next(self._turns)
            self.seen[fault or "kept"] += 1
            return fault

    def __enter__(self) -> "FaultyStore":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyStore

    def do_GET(self) -> None:
        self._pass_on(None)

    def do_HEAD(self) -> None:
        self._pass_on(None)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        match self.server.next_fault():
            case "429" | "500" as status:
                self._answer(int(status), b"<Error><Code>SlowDown</Code></Error>", Message())
            case "reset":
                self._reset()
            case fault:
                self._pass_on(body, lost=fault is not None)

    def _pass_on(self, body: bytes | None, *, lost: bool = False) -> None:
        # With the Host that the client signed, so that its signature holds.
        there = http.client.HTTPConnection(self.server.behind, timeout=30)
        there.request(self.command, self.path, body, dict(self.headers))
        answer = there.getresponse()
        content = answer.read()
        there.close()
        if lost:
            self._reset()
        else:
            self._answer(answer.status, content, answer.headers)

    def _answer(self, status: int, content: bytes, headers: Message) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in _OURS:
                self.send_header(name, value)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Nothing: the oracle tells what there is to tell."""

    def finish(self) -> None:
        with suppress(OSError, ValueError):  # the connection that was just reset
            super().finish()
