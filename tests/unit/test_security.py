"""Security settings: what is refused before anything is sent, and that secrets are never shown."""

import logging
import os
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framefuse.errors import BadInput
from framefuse.kafka.connection import client_config
from framefuse.kafka.security import PROPERTIES, Masked, is_loopback, security_of
from framefuse.settings import KafkaSettings, load
from tests.parts.certificates import Authority

HIDDEN = "hunter2-is-not-for-logs"
SCRAM = {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", "username": "join"}
BROKER = "kafka.example:9093"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but the test's own."""
    for name in [name for name in os.environ if name.startswith("FRAMEFUSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def settings(**fields: object) -> KafkaSettings:
    return load(KafkaSettings, **fields)


@pytest.mark.parametrize(
    "bootstrap",
    ["localhost:9092", "127.0.0.1:1", "127.8.0.1:9", "[::1]:9092", "localhost:9092,127.0.0.1:9093"],
)
def test_this_machine_needs_no_tls(bootstrap: str) -> None:
    assert is_loopback(bootstrap)
    assert security_of(settings(), bootstrap).properties() == {"security.protocol": "PLAINTEXT"}


@pytest.mark.parametrize(
    "bootstrap",
    [
        BROKER,
        "10.0.0.1:9092",
        "localhost:9092,kafka:9092",
        "localhost.example:9092",
        "[2001:db8::1]:9092",
        "127.0.0.1.example:9092",
        "kafka",
        "",
    ],
)
@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SASL_PLAINTEXT"])
def test_another_machine_without_tls_has_to_be_asked_for(bootstrap: str, protocol: str) -> None:
    with pytest.raises(BadInput, match=r"PROTOCOL=SASL_SSL .* FRAMEFUSE_ALLOW_PLAINTEXT=1"):
        security_of(settings(security_protocol=protocol), bootstrap)


def test_plaintext_that_was_asked_for_passes() -> None:
    assert security_of(settings(allow_plaintext=True), BROKER).protocol == "PLAINTEXT"


@given(st.ip_addresses(), st.integers(1, 65535))
def test_an_address_is_this_machine_only_in_the_loopback_networks(address: object, port: int) -> None:
    text = str(address)
    bootstrap = f"[{text}]:{port}" if ":" in text else f"{text}:{port}"

    assert is_loopback(bootstrap) == (text.startswith("127.") or text == "::1")


def test_a_password_becomes_a_property_and_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    kafka = settings(**SCRAM, password=HIDDEN, bootstrap=BROKER)
    security = security_of(kafka, BROKER)
    config = client_config(kafka, "test")

    assert config["sasl.password"] == HIDDEN
    logging.getLogger("test").warning("%r %s %r %r", kafka, kafka, security, config)
    assert HIDDEN not in caplog.text
    assert HIDDEN not in repr(kafka.model_dump())
    assert HIDDEN not in kafka.model_dump_json()


def test_a_traceback_with_all_variables_does_not_show_a_password() -> None:
    kafka = settings(**SCRAM, password=HIDDEN, bootstrap=BROKER)

    def fails() -> None:
        config = client_config(kafka, "test")
        raise RuntimeError(len(config))

    with pytest.raises(RuntimeError) as caught:
        fails()

    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    assert "sasl.password" in (text := "".join(shown))
    assert HIDDEN not in text


@pytest.mark.parametrize("field", ["password", "ssl_key_password", "oauth_client_secret"])
def test_a_secret_of_the_wrong_kind_is_not_shown(field: str, tmp_path: Path) -> None:
    (tmp_path / "framefuse.yaml").write_text(f"{field}: [{HIDDEN}]\n")

    with pytest.raises(BadInput) as caught:
        load(KafkaSettings)

    assert field in str(caught.value)
    assert HIDDEN not in "".join(traceback.format_exception(caught.value))


def test_a_file_holds_a_secret_and_is_read_anew_for_every_client(tmp_path: Path) -> None:
    file = tmp_path / "password"
    kafka = settings(**SCRAM, password_file=file, bootstrap=BROKER)

    file.write_text(f"{HIDDEN}\n")
    first = client_config(kafka, "test")["sasl.password"]
    file.write_text("another")

    assert first == HIDDEN
    assert client_config(kafka, "test")["sasl.password"] == "another"


def test_every_property_comes_from_the_table_and_checks_cannot_be_turned_off() -> None:
    given_all = settings(**SCRAM, password=HIDDEN, **{"enable.ssl.certificate.verification": "false"})

    found = security_of(given_all, BROKER).properties()

    assert found.keys() - {"ssl.endpoint.identification.algorithm"} <= set(PROPERTIES.values())
    assert found["ssl.endpoint.identification.algorithm"] == "https"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"security_protocol": "SASL_SSL"}, "FRAMEFUSE_SASL_MECHANISM is missing"),
        (SCRAM, "SCRAM-SHA-512 needs FRAMEFUSE_PASSWORD"),
        ({**SCRAM, "username": ""}, "needs FRAMEFUSE_USERNAME and FRAMEFUSE_PASSWORD"),
        ({**SCRAM, "password": HIDDEN, "password_file": "p"}, "are both given"),
        ({**SCRAM, "password_file": "nowhere"}, "FRAMEFUSE_PASSWORD_FILE: nowhere cannot be read"),
        ({**SCRAM, "password": HIDDEN, "ssl_ca": "nowhere"}, "FRAMEFUSE_SSL_CA: there is no file nowhere"),
        ({"security_protocol": "SSL", "ssl_key": "key.pem"}, "FRAMEFUSE_SSL_CERTIFICATE too"),
        ({**SCRAM, "sasl_mechanism": "OAUTHBEARER"}, "OAUTHBEARER needs FRAMEFUSE_OAUTH_TOKEN_URL"),
        (
            {
                **SCRAM,
                "sasl_mechanism": "OAUTHBEARER",
                "oauth_token_url": "http://login.example/token",
                "oauth_client_id": "x",
                "oauth_client_secret": HIDDEN,
            },
            "it must be https://",
        ),
        ({"security_protocol": "TLS"}, "security_protocol: Input should be 'PLAINTEXT', 'SSL'"),
        ({**SCRAM, "sasl_mechanism": "GSSAPI"}, "sasl_mechanism: Input should be 'PLAIN'"),
    ],
)
def test_what_is_missing_or_wrong_is_named(fields: dict[str, object], says: str) -> None:
    with pytest.raises(BadInput) as caught:
        security_of(settings(**fields), BROKER)

    assert says in str(caught.value)
    assert HIDDEN not in str(caught.value)


def test_a_key_that_its_password_does_not_open_is_said_before_connecting(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    certificate, key = authority.issue("join", password=HIDDEN)
    files = {"ssl_ca": authority.ca, "ssl_certificate": certificate, "ssl_key": key}

    good = security_of(settings(security_protocol="SSL", **files, ssl_key_password=HIDDEN), BROKER)
    with pytest.raises(BadInput, match="FRAMEFUSE_SSL_KEY_PASSWORD"):
        security_of(settings(security_protocol="SSL", **files, ssl_key_password=HIDDEN[1:]), BROKER)
    with pytest.raises(BadInput, match="FRAMEFUSE_SSL_KEY_PASSWORD"):
        security_of(settings(security_protocol="SSL", **files), BROKER)

    assert good.who == "the owner of join.pem"
    assert good.ssl_context() is not None


def test_what_was_given_and_does_nothing_is_named() -> None:
    security = security_of(settings(username="join", password=HIDDEN), "localhost:9092")

    assert security.unused == ("FRAMEFUSE_PASSWORD", "FRAMEFUSE_USERNAME")
    assert security.properties() == {"security.protocol": "PLAINTEXT"}


def test_tls_without_an_address_never_falls_back_to_the_plaintext_broker_of_this_machine() -> None:
    with pytest.raises(BadInput, match="FRAMEFUSE_BOOTSTRAP is missing"):
        client_config(settings(**SCRAM, password=HIDDEN), "test")


def test_a_masked_secret_is_still_the_secret() -> None:
    assert Masked(HIDDEN) == HIDDEN
    assert f"{Masked(HIDDEN)}" == HIDDEN
    assert repr({"password": Masked(HIDDEN)}) == "{'password': '***'}"


def test_no_client_of_ours_is_made_without_the_common_configuration() -> None:
    root = Path(__file__).parents[2]
    makers = ("Consumer(", "Producer(", "AdminClient(")
    texts = {
        path.name: path.read_text("utf-8") for path in sorted((root / "framefuse" / "kafka").glob("*.py"))
    }

    for name, text in texts.items():
        if "confluent_kafka" in text and any(
            f"ck.{maker}" in text or f" {maker}" in text for maker in makers
        ):
            assert "client_config(" in text or "producer_config(" in text, name
    others = [
        path.relative_to(root).as_posix()
        for package in ("framefuse", "producers", "processors", "sinks", "gateway")
        for path in (root / package).rglob("*.py")
        if path.parent.name != "kafka" and "confluent_kafka" in path.read_text("utf-8")
    ]
    assert others == []
