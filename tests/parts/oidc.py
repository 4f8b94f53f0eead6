"""A giver of OAuth tokens (OIDC client credentials) over HTTPS on loopback, for one client, and its keys."""

import base64
import json
import ssl
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.parts.certificates import Authority

CLIENT, SECRET = "camera-house", "oauth-s3cr3t-Zk4"
_KEY_ID = "one"
_LIFE_S = 300


class Issuer:
    """Gives tokens to `CLIENT`, who knows `SECRET`; a context manager."""

    def __init__(self, authority: Authority, folder: Path) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        issuer = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                status, body = issuer.answer(self.headers.get("Authorization", ""))
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("localhost"))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.token_url = f"https://localhost:{self._server.server_port}/token"
        keys = folder / "keys.json"
        keys.write_text(json.dumps({"keys": [self._public()]}))
        self.keys_url = keys.as_uri()
        self.given = 0

    def answer(self, authorization: str) -> tuple[int, Mapping[str, object]]:
        """To a client that says who it is (HTTP Basic)."""
        if authorization != f"Basic {base64.b64encode(f'{CLIENT}:{SECRET}'.encode()).decode()}":
            return 401, {"error": "invalid_client"}
        self.given += 1
        return 200, {"access_token": self._token(), "token_type": "Bearer", "expires_in": _LIFE_S}

    def _token(self) -> str:
        now = int(time.time())
        claims = {"sub": CLIENT, "aud": "kafka", "iat": now, "exp": now + _LIFE_S, "jti": uuid4().hex}
        signed = f"{_base64({'alg': 'RS256', 'kid': _KEY_ID})}.{_base64(claims)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_unpadded(signature)}"

    def _public(self) -> Mapping[str, str]:
        numbers = self._key.public_key().public_numbers()
        return {
            "kty": "RSA",
            "kid": _KEY_ID,
            "use": "sig",
            "alg": "RS256",
            "n": _unpadded(numbers.n.to_bytes(256, "big")),
            "e": _unpadded(numbers.e.to_bytes(3, "big")),
        }

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _base64(fields: Mapping[str, object]) -> str:
    return _unpadded(json.dumps(fields).encode())


def _unpadded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
