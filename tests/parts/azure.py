"""A blob server of Azure's protocol for tests: Azurite, fetched from npm once, on loopback."""

import base64
import hashlib
import hmac
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import obstore
import platformdirs
import pytest
from obstore.store import AzureStore

from tests.parts.ports import free_port
from tests.parts.waiting import until

_VERSION = "3.35.0"
# Not secrets: https://learn.microsoft.com/azure/storage/common/storage-use-azurite#well-known-storage-account-and-key
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True, slots=True)
class AzureServer:
    """Where the server is, and the container that tests write below."""

    endpoint: str
    container: str

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """What a user sets for this server."""
        return {
            "AZURE_STORAGE_USE_EMULATOR": "true",
            "AZURITE_BLOB_STORAGE_URL": endpoint or self.endpoint,
        }

    def fetch(self, prefix: str, folder: Path) -> None:
        """Copy what lies below a prefix into a folder; what was fetched before is not fetched again."""
        store = AzureStore(
            self.container,
            prefix=prefix,
            config={"account_name": _ACCOUNT, "account_key": _KEY, "endpoint": f"{self.endpoint}/{_ACCOUNT}"},
            client_options={"allow_http": True},
        )
        for page in obstore.list(store):
            for entry in page:
                path = folder / entry["path"]
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(obstore.get(store, entry["path"]).bytes())


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    """A blob server with one empty container."""
    with _running_azurite(_azurite(), tmp_path_factory.mktemp("azure")) as server:
        yield server


def _azurite() -> Path:
    """The program, installed if it is not."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm: apt-get install npm")
    folder = platformdirs.user_cache_path("framefuse") / f"azurite-{_VERSION}"
    program = folder / "node_modules" / ".bin" / "azurite-blob"
    if not program.exists():
        install = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder)]
        subprocess.run([*install, f"azurite@{_VERSION}"], check=True)
    return program


@contextmanager
def _running_azurite(program: Path, folder: Path) -> Iterator[AzureServer]:
    port = free_port()
    command = [str(program), "--blobPort", str(port), "--location", str(folder), "--disableTelemetry"]
    server = AzureServer(f"http://127.0.0.1:{port}", "frames")
    log = folder / "azurite.log"
    with (
        log.open("wb") as output,
        subprocess.Popen([*command, "--silent"], stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        try:
            until(lambda: b"successfully listens" in log.read_bytes(), 30.0, what="Azurite")
            _make_container(server)
            yield server
        finally:
            process.kill()


def _make_container(server: AzureServer) -> None:
    """As https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key signs a request."""
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    signed = (
        "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:2021-08-06\n"
        f"/{_ACCOUNT}/{_ACCOUNT}/{server.container}\nrestype:container"
    )
    digest = hmac.new(base64.b64decode(_KEY), signed.encode(), hashlib.sha256).digest()
    with closing(HTTPConnection(urlsplit(server.endpoint).netloc, timeout=10)) as connection:
        connection.request(
            "PUT",
            f"/{_ACCOUNT}/{server.container}?restype=container",
            headers={
                "Authorization": f"SharedKey {_ACCOUNT}:{base64.b64encode(digest).decode()}",
                "x-ms-date": date,
                "x-ms-version": "2021-08-06",
            },
        )
        assert connection.getresponse().status == 201
