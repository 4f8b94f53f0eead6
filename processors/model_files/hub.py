"""The two requests to Hugging Face that are needed: which files a revision has, and the bytes of one.

Without `huggingface_hub`: an ONNX file needs no torch, and models are cached by content here, not twice. What
users have set for that library counts: `HF_ENDPOINT`, `HF_TOKEN`, `HF_HOME`, `HF_TOKEN_PATH`.
"""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from framefuse.errors import ModelUnusable
from processors.model_files.addresses import HubPlace, hub_endpoint, shown
from processors.model_files.remotes import Download, Transfer, Unreachable
from processors.model_files.web import fetch

_COMMIT = re.compile(r"[0-9a-f]{40}")
_LIST_LIMIT_BYTES = 16 << 20
_HINTS = {
    401: "is it spelled owner/name? A private or gated one needs HF_TOKEN",
    403: "accept its terms on its page, with the account of HF_TOKEN",
}


@dataclass(frozen=True)
class HubRepository:
    """One revision of a repository; `folder` is where its names begin."""

    place: HubPlace
    folder: str = ""
    transfer: Transfer = field(default_factory=Transfer)

    @property
    def shown(self) -> str:
        """The address."""
        return shown(self.place)

    @cached_property
    def _listing(self) -> tuple[str, Sequence[str]]:
        revision = quote(self.place.revision, safe="")
        url = f"{hub_endpoint()}/api/models/{self.place.repo}/revision/{revision}"
        download = fetch(url, headers=_authorization(), hints=_HINTS, transfer=self.transfer)
        if download is None:
            raise Unreachable(f"{self.shown}: the hub gave no list")
        content = b""
        for chunk in download.chunks:
            content += chunk
            if len(content) > _LIST_LIMIT_BYTES:
                raise ModelUnusable(f"{self.shown}: the hub's list of files has no end")
        try:
            answer = json.loads(content)
            return str(answer["sha"]), [str(file["rfilename"]) for file in answer["siblings"]]
        except (ValueError, KeyError, TypeError):
            raise Unreachable(f"{url} gave no list of files: is {hub_endpoint()} a hub?") from None

    @property
    def commit(self) -> str:
        """What the revision is at the moment; Unreachable and ModelUnusable as `names`."""
        return self.place.revision if _COMMIT.fullmatch(self.place.revision) else self._listing[0]

    def names(self) -> Sequence[str]:
        """See `Remote`."""
        start = f"{self.folder}/" if self.folder else ""
        return [name.removeprefix(start) for name in self._listing[1] if name.startswith(start)]

    def open(self, name: str, *, unless: str | None = None) -> Download | None:
        """See `Remote`; the version is the commit, so that files of two commits are never mixed."""
        commit = self.commit
        if unless == commit:
            return None
        path = quote(f"{self.folder}/{name}" if self.folder else name)
        url = f"{hub_endpoint()}/{self.place.repo}/resolve/{commit}/{path}"
        download = fetch(url, headers=_authorization(), hints=_HINTS, transfer=self.transfer)
        if download is None:
            raise Unreachable(f"{self.shown}: the hub gave no {name}")
        return Download(commit, download.size_bytes, download.chunks)


def _authorization() -> dict[str, str]:
    token = os.environ.get("HF_TOKEN") or _kept_token()
    return {"Authorization": f"Bearer {token.strip()}"} if token else {}


def _kept_token() -> str | None:
    """What `hf auth login` left."""
    home = Path(os.environ.get("HF_HOME") or Path("~/.cache/huggingface").expanduser())
    path = Path(os.environ.get("HF_TOKEN_PATH") or home / "token")
    try:
        return path.read_text("utf-8").strip() or None
    except OSError:
        return None
