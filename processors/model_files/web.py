"""Files over HTTPS with the standard library: redirects, time-outs, no password where it does not belong."""

import http.client
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from framefuse.errors import ModelUnusable
from processors.model_files.remotes import Download, NotThere, Transfer, Unreachable

_CHUNK_BYTES = 1 << 20
_AGAIN = (408, 429, 500, 502, 503, 504)
_REASONS = {
    401: "it wants credentials",
    403: "these credentials may not read it",
    404: "there is no such file",
    410: "it is gone",
}


@dataclass(frozen=True, slots=True)
class WebFolder:
    """The folder that a file behind an URL lies in; the query of the URL stays with the file itself."""

    url: str
    main: str
    """Name of the file that the URL itself is, relative to the folder."""
    shown: str
    transfer: Transfer = field(default_factory=Transfer)

    def names(self) -> Sequence[str]:
        """A web server has no list.

        Raises:
            ModelUnusable: always.
        """
        raise ModelUnusable(f"{self.shown}: a folder cannot be fetched over https, only a file")

    def open(self, name: str, *, unless: str | None = None) -> Download | None:
        """See `Remote`."""
        up = "../" * self.main.count("/")
        url = self.url if name == self.main else urljoin(_bare(self.url), up + quote(name))
        return fetch(_without_user(url), unless=unless, headers=_authorization(url), transfer=self.transfer)


def fetch(
    url: str,
    *,
    unless: str | None = None,
    headers: Mapping[str, str] | None = None,
    hints: Mapping[int, str] | None = None,
    transfer: Transfer | None = None,
) -> Download | None:
    """GET an URL; None when it answers that nothing changed.

    Args:
        url: https, or http where `refuse_plain` lets it pass.
        unless: the ETag, or where the server has none the date, of the state that is there already.
        headers: as those for authorization; they go to this host only.
        hints: what to add to the message of a status.
        transfer: how patient.

    Raises:
        Unreachable: no answer, or one that says later.
        NotThere: there is no such file, or not for us.
        ModelUnusable: the answer is no.
    """
    patience = transfer or Transfer()
    refuse_plain(url)
    sent = {"User-Agent": "framefuse", "Accept-Encoding": "identity", **(headers or {})}
    if unless is not None:
        sent["If-None-Match" if unless.endswith('"') else "If-Modified-Since"] = unless
    request = Request(url, headers=sent)  # noqa: S310 - https, or this machine: `refuse_plain`
    for attempt in range(1, patience.attempts + 1):
        try:
            answer = build_opener(_Redirects).open(request, timeout=patience.silence_s)
        except HTTPError as error:
            error.close()
            if error.code == http.client.NOT_MODIFIED:
                return None
            if error.code not in _AGAIN:
                kind = NotThere if error.code in _REASONS else ModelUnusable
                raise kind(_refused(url, error.code, hints or {})) from None
            trouble = f"HTTP {error.code}"
        except (URLError, OSError, http.client.HTTPException) as error:
            trouble = _said(error)
        else:
            return _download(answer, url)
        if attempt < patience.attempts:
            time.sleep(attempt / 2)
    raise Unreachable(f"{_bare(url)} does not answer ({trouble})")


def refuse_plain(url: str) -> None:
    """Who sits on the line could give another model, so http is for this machine only.

    Raises:
        ModelUnusable: http to elsewhere.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or _is_here(parts.hostname or ""):
        return
    raise ModelUnusable(f"{_bare(url)} is not https: anybody on the way could give another model")


class _Redirects(HTTPRedirectHandler):
    """Follows a redirect, never down to http, and without credentials to another host."""

    def redirect_request(  # noqa: PLR0917 - as the base class has it
        self,
        req: Request,
        fp: Any,  # noqa: ANN401
        code: int,
        msg: str,
        headers: Any,  # noqa: ANN401
        newurl: str,
    ) -> Request | None:
        refuse_plain(newurl)
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            following.remove_header("Authorization")
        return following


def _download(answer: Any, url: str) -> Download:  # noqa: ANN401 - urllib's answers have no common class
    length = answer.headers.get("Content-Length")
    size = int(length) if length and length.isdecimal() else None
    # A hub redirects a large file to a store, whose ETag is another one.
    version = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
    return Download(version, size, _chunks(answer, size, url))


def _chunks(answer: Any, size: int | None, url: str) -> Iterator[bytes]:  # noqa: ANN401
    got = 0
    with answer:
        while True:
            try:
                chunk: bytes = answer.read(_CHUNK_BYTES)
            except (OSError, http.client.HTTPException) as error:
                raise Unreachable(f"{_bare(url)} broke off after {got} bytes ({_said(error)})") from None
            if not chunk:
                break
            got += len(chunk)
            yield chunk
    if size is not None and got != size:
        raise Unreachable(f"{_bare(url)} broke off after {got} of {size} bytes")


def _refused(url: str, code: int, hints: Mapping[int, str]) -> str:
    reason = _REASONS.get(code, "it was refused")
    hint = f": {hints[code]}" if code in hints else ""
    return f"{_bare(url)} cannot be fetched: {reason} (HTTP {code}){hint}"


def _authorization(url: str) -> dict[str, str]:
    """What `user:password@` in an URL becomes."""
    parts = urlsplit(url)
    if parts.username is None:
        return {}
    said = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(said.encode()).decode()}"}


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _bare(url: str) -> str:
    """Without user, password and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _said(error: Exception) -> str:
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {reason.verify_message}"
    return str(reason) or type(reason).__name__


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
