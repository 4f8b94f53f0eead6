"""A real HTTP server for models: plain files with ETags, and the few endpoints of Hugging Face's hub."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest

_DATE = "Wed, 25 Nov 2026 10:00:00 GMT"
COMMIT = "a" * 40


@dataclass
class ModelServer:
    """What it serves and what it was asked; tests change both."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """By path: "/x.onnx" on the web, "/owner/name/x.onnx" on the hub."""
    commits: dict[str, str] = field(default_factory=dict)
    """Of each repository, by "owner/name"."""
    token: str | None = None
    """What the hub wants to see."""
    redirect_to: str | None = None
    """Files of the hub are there, as the real one keeps large ones."""
    cut_after: int | None = None
    """Bytes after which a connection breaks."""
    dates_only: bool = False
    """No ETags, as simple servers have it; every file is of 2026 and never changes."""
    failures: list[int] = field(default_factory=list)
    """Statuses to answer the next requests with."""
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    """Path and headers of each request."""


@contextmanager
def a_model_server() -> Iterator[ModelServer]:
    """A server on a free port of this machine."""
    state = ModelServer()

    class Answers(_Answers):
        server_state = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def models() -> Iterator[ModelServer]:
    """A server without files."""
    with a_model_server() as server:
        yield server


class _Answers(BaseHTTPRequestHandler):
    server_state: ModelServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        state, path = self.server_state, unquote(urlsplit(self.path).path)
        state.asked.append((self.path, dict(self.headers)))
        if state.failures:
            self._answer(state.failures.pop(0), b"")
        elif path.startswith("/api/models/"):
            self._list(path)
        elif "/resolve/" in path:
            self._resolve(path)
        else:
            self._file(path)

    def _list(self, path: str) -> None:
        state = self.server_state
        owner, name, _, revision = path.removeprefix("/api/models/").split("/", 3)
        repo = f"{owner}/{name}"
        commit = state.commits.get(repo)
        if commit is None or (state.token and self.headers["Authorization"] != f"Bearer {state.token}"):
            self._answer(401, b"")
        elif revision not in ("main", "v1", commit):
            self._answer(404, b"")
        else:
            names = [key.removeprefix(f"/{repo}/") for key in state.files if key.startswith(f"/{repo}/")]
            siblings = [{"rfilename": name} for name in names]
            self._answer(200, json.dumps({"sha": commit, "siblings": siblings}).encode())

    def _resolve(self, path: str) -> None:
        state = self.server_state
        repo, _, rest = path.partition("/resolve/")
        name = f"{repo}/{rest.partition('/')[2]}"
        if state.token and self.headers["Authorization"] != f"Bearer {state.token}":
            self._answer(401, b"")
        elif state.redirect_to is not None:
            self._answer(302, b"", {"Location": f"{state.redirect_to}{name}?signature=secret"})
        else:
            self._file(name)

    def _file(self, path: str) -> None:
        content = self.server_state.files.get(path)
        if content is None:
            self._answer(404, b"")
            return
        etag = f'"{sha256(content).hexdigest()[:16]}"'
        name, version = ("Last-Modified", _DATE) if self.server_state.dates_only else ("ETag", etag)
        if version in (self.headers["If-None-Match"], self.headers["If-Modified-Since"]):
            self._answer(304, b"", {name: version})
        else:
            self._answer(200, content, {name: version})

    def _answer(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cut = self.server_state.cut_after
        if cut is not None and len(content) > cut:
            self.wfile.write(content[:cut])
            self.close_connection = True
        else:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Tests look at `asked`."""
