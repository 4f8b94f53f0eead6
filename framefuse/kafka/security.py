"""Who we are to the broker, and how it is spoken to: settings in, checked facts and client properties out.

The only way by which security settings reach a client: one table says which of ours becomes which property of
librdkafka, and nothing else passes. So no setting turns off the check of a certificate or of a host name.
"""

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from framefuse.errors import BadInput
from framefuse.settings import KafkaSettings

_HOW = "FRAMEFUSE_SECURITY_PROTOCOL=SASL_SSL (or SSL) and FRAMEFUSE_SSL_CA=ca.pem turn TLS on"
SEE = "see docs/security.md"


class Masked(str):
    """A secret as the client library takes it; its `repr` shows stars, so that no traceback holds it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@dataclass(frozen=True, slots=True)
class Security:
    """What is needed to connect, and nothing that is not; complete for its protocol and mechanism.

    Plain facts, for any client: `properties` has them for librdkafka, `ssl_context` for Python's own sockets.
    """

    protocol: str
    mechanism: str | None = None
    username: str | None = None
    password: Masked | None = None
    ssl_ca: Path | None = None
    ssl_certificate: Path | None = None
    ssl_key: Path | None = None
    ssl_key_password: Masked | None = None
    oauth_token_url: str | None = None
    oauth_client_id: str | None = None
    oauth_client_secret: Masked | None = None
    oauth_scope: str | None = None
    oauth_ca: Path | None = None
    unused: tuple[str, ...] = field(default=(), compare=False)
    """Settings that were given and do nothing with this protocol and mechanism."""

    @property
    def encrypted(self) -> bool:
        """Whether it is TLS."""
        return self.protocol.endswith("SSL")

    @property
    def who(self) -> str:
        """Who the broker takes us for, for messages; no secret."""
        if self.username is not None:
            return f"user '{self.username}'"
        if self.oauth_client_id is not None:
            return f"OAuth client '{self.oauth_client_id}'"
        if self.ssl_certificate is not None:
            return f"the owner of {self.ssl_certificate.name}"
        return "a client without a name (no FRAMEFUSE_SASL_MECHANISM, no FRAMEFUSE_SSL_CERTIFICATE)"

    def properties(self) -> dict[str, str]:
        """For librdkafka."""
        named = {part.name: getattr(self, part.name) for part in fields(self)}
        found = {
            name: value if isinstance(value, Masked) else str(value)
            for setting, name in PROPERTIES.items()
            if (value := named[setting]) is not None
        }
        if self.encrypted:
            found = {
                "ssl.ca.location": _authorities(),
                **found,
                "ssl.endpoint.identification.algorithm": "https",
            }
        if self.mechanism == "OAUTHBEARER":
            found = {"https.ca.location": _authorities(), **found, "sasl.oauthbearer.method": "oidc"}
        return found

    def ssl_context(self) -> ssl.SSLContext | None:
        """For Python's own sockets; None without TLS.

        Raises:
            BadInput: a file is not what it should be.
        """
        if not self.encrypted:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ssl_ca)
            if self.ssl_certificate is not None:
                # A password is always given, for without one a terminal would be asked.
                context.load_cert_chain(self.ssl_certificate, self.ssl_key, self.ssl_key_password or "-")
        except (ssl.SSLError, OSError) as error:
            files = ", ".join(str(file) for file in (self.ssl_ca, self.ssl_certificate, self.ssl_key) if file)
            raise BadInput(
                f"no TLS with {files} (and FRAMEFUSE_SSL_KEY_PASSWORD): {error}: expected PEM files, {SEE}"
            ) from None
        return context


PROPERTIES: Mapping[str, str] = {
    "protocol": "security.protocol",
    "mechanism": "sasl.mechanism",
    "username": "sasl.username",
    "password": "sasl.password",
    "ssl_ca": "ssl.ca.location",
    "ssl_certificate": "ssl.certificate.location",
    "ssl_key": "ssl.key.location",
    "ssl_key_password": "ssl.key.password",
    "oauth_token_url": "sasl.oauthbearer.token.endpoint.url",
    "oauth_client_id": "sasl.oauthbearer.client.id",
    "oauth_client_secret": "sasl.oauthbearer.client.secret",
    "oauth_scope": "sasl.oauthbearer.scope",
    "oauth_ca": "https.ca.location",
}
"""Each fact and its property in librdkafka: the allow-list."""

_TLS = frozenset({"ssl_ca", "ssl_certificate", "ssl_key", "ssl_key_password"})
_NAMED = frozenset({"username", "password"})
_OAUTH = frozenset({"oauth_token_url", "oauth_client_id", "oauth_client_secret", "oauth_scope", "oauth_ca"})


def security_of(settings: KafkaSettings, bootstrap: str) -> Security:
    """Check the settings against each other and against where the broker is; reads secrets from their files.

    Args:
        settings: as loaded; a file with a secret is read anew each time, so a new client has a new password.
        bootstrap: host:port of brokers, with commas between them.

    Raises:
        BadInput: something is missing, is no file, or would cross the network without TLS.
    """
    _refuse_open_network(settings, bootstrap)
    used = _used(settings)
    given = {name: getattr(settings, name) for name in _TLS | _OAUTH | {"username"} if name in PROPERTIES}
    given |= {
        name: _secret(settings, name, read=name in used)
        for name in ("password", "ssl_key_password", "oauth_client_secret")
    }
    facts = {name: value for name, value in given.items() if name in used and value is not None}
    unused = sorted(name for name, value in given.items() if value is not None and name not in used)
    security = Security(
        settings.security_protocol,
        settings.sasl_mechanism if _is_sasl(settings) else None,
        **facts,
        unused=tuple(map(variable, unused)),
    )
    _require(security)
    return security


def is_loopback(bootstrap: str) -> bool:
    """Whether every host of `host:port,host:port` is this machine, by its name or number."""
    return all(_is_this_machine(_host(address)) for address in bootstrap.split(","))


def variable(setting: str) -> str:
    """The environment variable of a setting."""
    return f"FRAMEFUSE_{setting.upper()}"


def _authorities() -> str:
    """Where this system keeps those it trusts; the library looks in places that not every system has."""
    return ssl.get_default_verify_paths().cafile or "probe"


def _host(address: str) -> str:
    return address.strip().rpartition("://")[2].rpartition(":")[0].strip("[]").lower()


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_sasl(settings: KafkaSettings) -> bool:
    return settings.security_protocol.startswith("SASL")


def _used(settings: KafkaSettings) -> frozenset[str]:
    used = _TLS if settings.security_protocol.endswith("SSL") else frozenset()
    if _is_sasl(settings):
        used |= _OAUTH if settings.sasl_mechanism == "OAUTHBEARER" else _NAMED
    return used


def _refuse_open_network(settings: KafkaSettings, bootstrap: str) -> None:
    if settings.allow_plaintext:
        return
    if not settings.security_protocol.endswith("SSL") and not is_loopback(bootstrap):
        raise BadInput(
            f"{bootstrap} is not this machine, and {settings.security_protocol} has no TLS: {_HOW}; "
            f"on a network of your own FRAMEFUSE_ALLOW_PLAINTEXT=1 lets it pass ({SEE})"
        )
    url = settings.oauth_token_url
    if url and settings.sasl_mechanism == "OAUTHBEARER" and urlsplit(url).scheme != "https":
        host = urlsplit(url).hostname or ""
        if not _is_this_machine(host):
            raise BadInput(f"FRAMEFUSE_OAUTH_TOKEN_URL is {url}: a secret goes there, so it must be https://")


def _secret(settings: KafkaSettings, name: str, *, read: bool) -> Masked | None:
    """A secret as given, or from its file; where it is not `read`, only whether there is one."""
    value: SecretStr | None = getattr(settings, name)
    file: Path | None = getattr(settings, f"{name}_file")
    if value is not None and file is not None:
        raise BadInput(f"{variable(name)} and {variable(name)}_FILE are both given: leave one of them away")
    if value is not None:
        return Masked(value.get_secret_value())
    if file is None or not read:
        return None if file is None else Masked("")
    try:
        return Masked(file.read_text("utf-8").rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise BadInput(f"{variable(name)}_FILE: {file} cannot be read: {reason}") from None


def _require(security: Security) -> None:
    """That nothing is missing and files can be used: the client library would fail and not say which."""
    if security.protocol.startswith("SASL") and security.mechanism is None:
        raise BadInput(
            f"FRAMEFUSE_SECURITY_PROTOCOL is {security.protocol}, FRAMEFUSE_SASL_MECHANISM is missing: "
            "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
        )
    needed: tuple[str, ...] = ()
    if security.mechanism == "OAUTHBEARER":
        needed = ("oauth_token_url", "oauth_client_id", "oauth_client_secret")
    elif security.mechanism is not None:
        needed = ("username", "password")
    if security.ssl_certificate is not None or security.ssl_key is not None:
        needed += ("ssl_certificate", "ssl_key")
    missing = [variable(name) for name in needed if not getattr(security, name)]
    if missing:
        what = security.mechanism or "a certificate of our own"
        raise BadInput(f"{what} needs {' and '.join(missing)} too ({SEE})")
    for name in ("ssl_ca", "ssl_certificate", "ssl_key", "oauth_ca"):
        file: Path | None = getattr(security, name)
        if file is not None and not file.is_file():
            raise BadInput(f"{variable(name)}: there is no file {file}")
    if security.ssl_ca is not None or security.ssl_certificate is not None:
        security.ssl_context()
