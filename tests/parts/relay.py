"""A relay between client and server: it speaks TLS for a server that cannot, or damages what passes."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Self

_CHUNK_BYTES = 1 << 16
Meddle = Callable[[bytes], bytes]


class Relay:
    """Listens on a port of 127.0.0.1 and leads to another; a context manager."""

    def __init__(
        self, to_port: int, *, tls: ssl.SSLContext | None = None, meddle: Callable[[], Meddle] | None = None
    ) -> None:
        """Begin.

        Args:
            to_port: of the server.
            tls: what clients must speak.
            meddle: makes, for each connection, what is done to the bytes that the server sends.
        """
        self._to_port, self._tls, self._meddle = to_port, tls, meddle
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._door.accept()
                threading.Thread(target=self._lead, args=(client,), daemon=True).start()

    def _lead(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as ends:
            ends.enter_context(client)
            if self._tls is not None:
                client = ends.enter_context(self._tls.wrap_socket(client, server_side=True))
            server = ends.enter_context(socket.create_connection(("127.0.0.1", self._to_port)))
            back = self._meddle() if self._meddle else bytes
            forth = threading.Thread(target=_pass, args=(client, server, bytes), daemon=True)
            forth.start()
            _pass(server, client, back)
            forth.join()


def _pass(source: socket.socket, sink: socket.socket, through: Meddle) -> None:
    with contextlib.suppress(OSError, ValueError):
        while received := source.recv(_CHUNK_BYTES):
            sink.sendall(through(received))
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class LosePackets:
    """Loses every n-th RTP packet of RTSP over TCP, and spoils another, once there were some whole ones."""

    def __init__(self, every: int = 7, whole: int = 40) -> None:
        self._every, self._whole = every, whole
        self._held, self._seen = b"", 0

    def __call__(self, received: bytes) -> bytes:
        self._held += received
        passed = []
        while self._held:
            if self._held[:1] != b"$":  # an answer
                head, end, rest = self._held.partition(b"$")
                passed.append(head)
                self._held = end + rest
                continue
            length = 4 + int.from_bytes(self._held[2:4], "big")
            if len(self._held) < max(length, 4):
                break
            frame, self._held = self._held[:length], self._held[length:]
            passed.append(self._changed(frame))
        return b"".join(passed)

    def _changed(self, frame: bytes) -> bytes:
        self._seen += 1
        if self._seen <= self._whole or frame[1] % 2:  # odd channels are RTCP
            return frame
        if self._seen % self._every == 0:
            return b""
        if self._seen % self._every == 3 and len(frame) > 60:
            return frame[:40] + bytes(len(frame) - 40)
        return frame
