"""A real Kafka that lets in nobody without TLS, knows its users, and denies what no ACL allows.

Listeners: SECURE (SASL_SSL: SCRAM, PLAIN, OAUTHBEARER) and CERTIFIED (SSL with the client's certificate), on
loopback; between the broker and itself PLAIN, also there. Tokens are given by `tests.parts.oidc`.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from framefuse.broker import LOCK, jars
from framefuse.broker.home import MAIN_CLASS, BrokerHome
from framefuse.broker.java import find_java
from framefuse.broker.properties import JVM_FLAGS, log4j_configuration, server_properties
from tests.parts.certificates import Authority
from tests.parts.oidc import Issuer
from tests.parts.ports import free_port

ADMIN = "admin"
_JAAS = "org.apache.kafka.common.security"
_READY_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class SecureBroker:
    """Where it is, and what a client needs besides a name and a password."""

    bootstrap: str
    """SASL_SSL."""
    certified: str
    """SSL, for who has a certificate."""
    ca: Path
    folder: Path
    issuer: Issuer
    authority: Authority

    def environment(self, username: str, password: str | None = None) -> dict[str, str]:
        """Settings of somebody with a SCRAM password."""
        return {
            "FRAMEFUSE_BOOTSTRAP": self.bootstrap,
            "FRAMEFUSE_SECURITY_PROTOCOL": "SASL_SSL",
            "FRAMEFUSE_SASL_MECHANISM": "SCRAM-SHA-512",
            "FRAMEFUSE_SSL_CA": str(self.ca),
            "FRAMEFUSE_USERNAME": username,
            "FRAMEFUSE_PASSWORD": password or password_of(username),
        }


def password_of(username: str) -> str:
    """A secret that can be searched for in whatever is printed."""
    return f"{username}-s3cr3t-Xq7"


@contextmanager
def a_secure_broker(folder: Path, users: Sequence[str]) -> Iterator[SecureBroker]:
    """Start it, with these users besides `admin`; nothing is left running."""
    authority = Authority(folder / "pki")
    secure, certified, controller = free_port(), free_port(), free_port()
    home = BrokerHome(folder / "broker")
    home.path.mkdir()
    with Issuer(authority, folder) as issuer:
        extra = _listeners(secure, certified, controller) | _access(authority, issuer, users)
        home.settings.write_text(
            server_properties(data_dir=home.path, port=secure, controller_port=controller, extra=extra)
        )
        home.log4j.write_text(log4j_configuration(home.log_file))
        with _java(home, issuer, (ADMIN, *users)) as process:
            try:
                _wait(home, process)
                yield SecureBroker(
                    f"localhost:{secure}",
                    f"localhost:{certified}",
                    authority.ca,
                    folder,
                    issuer,
                    authority,
                )
            finally:
                process.kill()


def _listeners(secure: int, certified: int, controller: int) -> dict[str, str]:
    listeners = f"SECURE://localhost:{secure},CERTIFIED://localhost:{certified}"
    return {
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
        "listener.security.protocol.map": "SECURE:SASL_SSL,CERTIFIED:SSL,CONTROLLER:SASL_PLAINTEXT",
        "inter.broker.listener.name": "SECURE",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
    }


def _access(authority: Authority, issuer: Issuer, users: Sequence[str]) -> dict[str, str]:
    itself = 'username="broker" password="broker-secret" user_broker="broker-secret"'
    plain = f"{_JAAS}.plain.PlainLoginModule required {itself}"
    known = " ".join(f'user_{name}="{password_of(name)}"' for name in (ADMIN, *users))
    oauth = f"{_JAAS}.oauthbearer"
    keystore = authority.ca.with_name("broker.pem")
    keystore.write_text("".join(part.read_text() for part in reversed(authority.issue("localhost"))))
    listener = "listener.name.secure"
    return {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:broker;User:{ADMIN}",
        "allow.everyone.if.no.acl.found": "false",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(keystore),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.ca),
        "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/",
        "listener.name.certified.ssl.client.auth": "required",
        f"{listener}.sasl.enabled.mechanisms": "SCRAM-SHA-512,SCRAM-SHA-256,PLAIN,OAUTHBEARER",
        f"{listener}.plain.sasl.jaas.config": f"{plain} {known};",
        f"{listener}.scram-sha-512.sasl.jaas.config": f"{_JAAS}.scram.ScramLoginModule required;",
        f"{listener}.scram-sha-256.sasl.jaas.config": f"{_JAAS}.scram.ScramLoginModule required;",
        f"{listener}.oauthbearer.sasl.jaas.config": f"{oauth}.OAuthBearerLoginModule required;",
        f"{listener}.oauthbearer.sasl.server.callback.handler.class": (
            f"{oauth}.OAuthBearerValidatorCallbackHandler"
        ),
        f"{listener}.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": issuer.keys_url,
        f"{listener}.oauthbearer.sasl.oauthbearer.expected.audience": "kafka",
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": f"{plain};",
    }


@contextmanager
def _java(home: BrokerHome, issuer: Issuer, users: Sequence[str]) -> "Iterator[subprocess.Popen[bytes]]":
    classpath = os.pathsep.join(map(str, jars.resolve(LOCK)))
    environment = {**os.environ, "CLASSPATH": classpath}
    java = [
        str(find_java()),
        *JVM_FLAGS,
        f"-Dlog4j2.configurationFile={home.log4j.as_uri()}",
        f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={issuer.keys_url}",
    ]
    tool = ["kafka.tools.StorageTool", "format", "--cluster-id", "AAAAAAAAAAAAAAAAAAAAAA"]
    subprocess.run(
        [*java, *tool, "--config", str(home.settings), *_scram(users)],
        env=environment,
        check=True,
        capture_output=True,
    )
    with (
        home.console_file.open("wb") as console,
        subprocess.Popen(
            [*java, MAIN_CLASS, str(home.settings)], env=environment, stdout=console, stderr=console
        ) as process,
    ):
        yield process


def _scram(users: Sequence[str]) -> list[str]:
    """Passwords that are there before the first start; few rounds of hashing, which each connection pays."""
    return [
        part
        for name in users
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        for part in ("--add-scram", f"{mechanism}=[name={name},iterations=4096,password={password_of(name)}]")
    ]


def _wait(home: BrokerHome, process: "subprocess.Popen[bytes]") -> None:
    give_up_s = time.monotonic() + _READY_TIMEOUT_S
    while not home.has_logged("Kafka Server started"):
        assert process.poll() is None, home.log_tail(40)
        assert time.monotonic() < give_up_s, home.log_tail(40)
        time.sleep(0.05)
