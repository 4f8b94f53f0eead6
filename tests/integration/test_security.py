"""A broker with TLS, passwords and rights: a pipeline with one principal a stage, and who is refused."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from framefuse.errors import AccessDenied
from framefuse.kafka import Admin, Delivery, Producer, Reader
from framefuse.kafka.acls import grant
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.rights import Resource, Right, roles
from framefuse.runtime.letters_first import DeadLetterBox
from framefuse.settings import KafkaSettings
from framefuse.types import Output
from processors.detection.stage import STAGE as DETECTION
from schemas.codec import encode
from schemas.records import DeadLetter
from schemas.topics import ALL, DEAD_LETTERS, FRAMES, FUSED, SCHEMAS, STATISTICS
from tests.integration.test_pipeline import stored_frames
from tests.parts.certificates import Authority
from tests.parts.oidc import CLIENT, SECRET
from tests.parts.secure_broker import ADMIN, SecureBroker, a_secure_broker, password_of
from tests.unit.builders import START, a_frame
from tests.unit.models import a_depth_net, a_detector

pytestmark = pytest.mark.broker
PREFIX = "safe"
STAGES = ("detection", "depth", "join", "object-store", "statistics", "camera")
ROLES = ("admin", "streams", "publisher", "subscriber", "dead-letters", *STAGES)
UNTRANSACTED, STRANGER, CERTIFIED = "framefuse-untransacted", "framefuse-stranger", "framefuse-certified"
READER = "framefuse-reader"
"""Of dead letters: may send frames, and note nothing."""
PUBLISHED = 30
LETTERS = 100
"""More than a replay sends before it waits for workers."""
WRONG = "wr0ng-s3cr3t"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    """A broker on which every role has its rights, and `UNTRANSACTED` those of detection without its ids."""
    users = [*(f"framefuse-{role}" for role in ROLES), UNTRANSACTED, STRANGER, READER]
    with a_secure_broker(tmp_path_factory.mktemp("secured"), users) as secured:
        run(secured, ADMIN, "topics", "acls", "--apply")
        (detection,) = (role for role in roles(PREFIX, [DETECTION]) if role.name == "detection")
        rights = [right for right in detection.rights if right.resource is not Resource.TRANSACTIONAL_ID]
        seen = Right(Resource.TOPIC, SCHEMAS.name(PREFIX), ("Describe",))
        entries = [(f"User:{UNTRANSACTED}", right) for right in rights]
        entries += [(f"User:{name}", seen) for name in (CLIENT, CERTIFIED)]
        grant(settings_of(secured, ADMIN), entries)
        run(secured, "framefuse-admin", "topics", "create", "--partitions", "2")
        yield secured


def settings_of(secured: SecureBroker, username: str) -> KafkaSettings:
    environment = secured.environment(username)
    named = {name.removeprefix("FRAMEFUSE_").lower(): value for name, value in environment.items()}
    return KafkaSettings(**{"prefix": PREFIX, **named})  # type: ignore[arg-type]


def attempt(
    secured: SecureBroker, username: str, *command: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """A command of somebody, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "framefuse", *command],
        env={**_environment(secured, username), **environment},
        cwd=secured.folder,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def run(secured: SecureBroker, username: str, *command: str, **environment: str) -> str:
    """A command of somebody that must go well; what it wrote to stdout."""
    done = attempt(secured, username, *command, **environment)
    assert done.returncode == 0, f"{username}: {command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def refused(secured: SecureBroker, username: str, *command: str, **environment: str) -> str:
    """A command of somebody that must end at once with exit status 2; what it said, without its secret."""
    done = attempt(secured, username, *command, **environment)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said[-3000:]
    assert "docs/security.md" in said
    assert "Traceback" not in said
    assert password_of(username) not in said
    return said


def _environment(secured: SecureBroker, username: str) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FRAMEFUSE_")}
    return {**kept, **secured.environment(username), "FRAMEFUSE_PREFIX": PREFIX}


@contextmanager
def running(secured: SecureBroker, stages: Sequence[str], **environment: str) -> Iterator[None]:
    """Each stage as a process of its own, under its own principal; all must drain and end well."""
    processes = {}
    for stage in stages:
        with (secured.folder / f"{stage}.log").open("wb") as log:
            processes[stage] = subprocess.Popen(
                [sys.executable, "-m", "framefuse", "run", stage],
                env={**_environment(secured, f"framefuse-{stage}"), **environment},
                cwd=secured.folder,
                stdout=log,
                stderr=log,
            )
    try:
        yield
        for process in processes.values():
            process.terminate()
        for stage, process in processes.items():
            assert process.wait(30) == 0, (secured.folder / f"{stage}.log").read_text()[-3000:]
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_pipeline_works_with_one_principal_a_stage_and_the_rights_that_are_listed(
    secured: SecureBroker,
) -> None:
    head = np.zeros((6, 2), np.float32)
    head[:, 0] = [32, 16, 20, 10, 0.9, 0]
    metric = {"kind": "METRIC", "unit": "m"}
    environment = {
        "FRAMEFUSE_DETECTION_MODEL": str(a_detector(secured.folder / "detector.onnx", head)),
        "FRAMEFUSE_DEPTH_MODEL": str(a_depth_net(secured.folder / "depth.onnx", metadata=metric)),
        "FRAMEFUSE_OBJECT_STORE_URL": str(secured.folder / "results"),
        "FRAMEFUSE_OBJECT_STORE_MAX_WAIT_S": "1",
    }
    scene = f"synthetic:?seed=7&fps=10&seconds={PUBLISHED / 10}&size=160x96"

    run(secured, "framefuse-streams", "streams", "add", "yard", scene.replace("3.0", "600"), "--fps", "5")
    with running(secured, STAGES, **environment):
        run(secured, "framefuse-publisher", "publish", scene, "--stream", "gate", "--partition-by", "frame")
        results = ("watch", "--from-start", "--stream", "gate", "--limit", str(PUBLISHED), "--json")
        seen = run(secured, "framefuse-subscriber", *results)
        yard = run(secured, "framefuse-subscriber", *results[:3], "yard", "--limit", "2", "--json")
        (stream,) = json.loads(run(secured, "framefuse-streams", "streams", "list", "--json"))
        with Reader(settings_of(secured, "framefuse-subscriber")) as reader:
            give_up_s, told = time.monotonic() + 30, set[bytes | None]()
            while time.monotonic() < give_up_s:
                told = {message.key for message in reader.everything(STATISTICS.name(PREFIX))}
                if len(stored(secured.folder / "results")) >= PUBLISHED + 2 and len(told) == 2:
                    break
                time.sleep(0.3)

    rows = [json.loads(line) for line in seen.splitlines()]
    assert {row["outcome"] for row in rows} == {"FUSED"}
    assert sorted(row["sequence"] for row in rows) == list(range(PUBLISHED))
    assert len(yard.splitlines()) == 2
    assert stream["state"] == "RUNNING"
    assert told == {b"gate", b"yard"}
    kept = stored(secured.folder / "results")
    assert len(kept) == len(set(kept)) >= PUBLISHED + 2
    run(secured, "framefuse-subscriber", "audit")
    run(secured, "framefuse-dead-letters", "dead-letters", "list")


def stored(folder: Path) -> list[tuple[int, int]]:
    """Partition and offset of each row in Parquet; none before there is a file."""
    return stored_frames(folder) if any(folder.glob("*/*.parquet")) else []


def test_a_stage_may_not_do_the_work_of_another(secured: SecureBroker) -> None:
    said = refused(secured, "framefuse-detection", "run", "join")

    assert "user 'framefuse-detection' may not write the transactional id safe.join." in said


def test_a_worker_without_its_transactional_id_says_so_and_ends(secured: SecureBroker) -> None:
    said = refused(secured, UNTRANSACTED, "run", "detection")

    assert f"user '{UNTRANSACTED}' may not write the transactional id safe.detection." in said


def test_a_publisher_may_not_read(secured: SecureBroker) -> None:
    said = refused(secured, "framefuse-publisher", "watch", "--from-start", "--limit", "1")

    assert "user 'framefuse-publisher' may not see or change the topic safe.fused" in said


def test_a_subscriber_may_not_publish(secured: SecureBroker) -> None:
    done = attempt(secured, "framefuse-subscriber", "publish", "synthetic:?seed=7&seconds=1&size=160x96")

    assert done.returncode in (1, 2)  # whether the refusal comes before the first picture or after it
    assert "user 'framefuse-subscriber' may not write" in done.stderr
    assert "nor any other topic" in done.stderr


def test_a_stage_may_not_write_what_another_writes(secured: SecureBroker) -> None:
    producer, delivered = Producer(settings_of(secured, "framefuse-detection")), list[Delivery]()

    producer.send(FUSED.name(PREFIX), b"forged", key=None, on_delivery=delivered.append)
    producer.close()

    (delivery,) = delivered
    assert str(delivery.error).startswith("user 'framefuse-detection' may not write the topic safe.fused")


@pytest.fixture(scope="module")
def letters(secured: SecureBroker) -> KafkaSettings:
    """Dead letters in topics of their own, where `READER` may do all that a replay does but note it."""
    kafka = settings_of(secured, ADMIN).model_copy(update={"prefix": "unnoted"})
    topic = DEAD_LETTERS.name(kafka.prefix)
    Admin(kafka).create_topics(ALL, partitions=1)
    SchemaTopic(kafka)
    (role,) = (role for role in roles(kafka.prefix, []) if role.name == "dead-letters")
    reading = [replace(one, operations=("Read",)) if one.name == topic else one for one in role.rights]
    grant(kafka, [(f"User:{READER}", right) for right in reading])
    producer = Producer(kafka)
    for number in range(LETTERS):
        producer.send(topic, encode(a_letter(kafka, number)), key=b"gate")
    assert producer.flush(20) == 0
    return kafka


def a_letter(kafka: KafkaSettings, number: int) -> DeadLetter:
    return DeadLetter(
        topic=FRAMES.name(kafka.prefix),
        partition=0,
        offset=number,
        timestamp=START,
        value=encode(a_frame("gate", number)),
        stage="detection",
        error="ModelFailed",
        message="not finite",
        version="0.1.0",
        attempt=0,
    )


def still_open(secured: SecureBroker, letters: KafkaSettings) -> int:
    """Cases that the next replay would send."""
    listed = run(secured, READER, "dead-letters", "list", "--json", FRAMEFUSE_PREFIX=letters.prefix)
    return len(json.loads(listed))


def test_a_replay_that_cannot_be_noted_ends_and_says_that_its_cases_stay_open(
    secured: SecureBroker, letters: KafkaSettings
) -> None:
    said = refused(secured, READER, "dead-letters", "replay", "--yes", FRAMEFUSE_PREFIX=letters.prefix)

    assert f"user '{READER}' may not write the topic unnoted.dead-letters" in said
    assert "their cases stay open" in said
    assert sum(Admin(letters).end_offsets(FRAMES.name(letters.prefix)).values()) < LETTERS
    assert still_open(secured, letters) == LETTERS


def test_letters_that_cannot_be_dismissed_are_not_said_to_be(
    secured: SecureBroker, letters: KafkaSettings
) -> None:
    said = refused(
        secured,
        READER,
        *("dead-letters", "dismiss", "--stage", "detection", "--yes"),
        FRAMEFUSE_PREFIX=letters.prefix,
    )

    assert f"user '{READER}' may not write the topic unnoted.dead-letters" in said
    assert "Dismissed: " not in said
    assert still_open(secured, letters) == LETTERS


def test_a_dead_letter_that_may_not_be_written_ends_a_stage_instead_of_being_tried_for_ever(
    secured: SecureBroker, letters: KafkaSettings
) -> None:
    kafka = settings_of(secured, READER).model_copy(update={"prefix": letters.prefix})
    output: Output[object] = Output(None, 0, 0, START, b"gate", a_letter(kafka, 0))

    with pytest.raises(AccessDenied, match=f"user '{READER}' may not write the topic unnoted.dead-letters"):
        DeadLetterBox(kafka).post([output])


def test_somebody_without_rights_is_told_which(secured: SecureBroker) -> None:
    said = refused(secured, STRANGER, "run", "depth")

    assert f"user '{STRANGER}' may not see or change the topic safe." in said


@pytest.mark.parametrize("debug", [(), ("--debug",)], ids=["short", "debug"])
def test_a_wrong_password_ends_a_command_and_is_not_shown(
    secured: SecureBroker, debug: Sequence[str]
) -> None:
    done = attempt(secured, "framefuse-admin", *debug, "topics", "list", FRAMEFUSE_PASSWORD=WRONG)

    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "does not take us for user 'framefuse-admin' by SCRAM-SHA-512" in said
    assert WRONG not in said


def test_a_broker_whose_authority_is_not_known_is_not_trusted(secured: SecureBroker, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")

    said = refused(secured, "framefuse-admin", "topics", "list", FRAMEFUSE_SSL_CA=str(other.ca))

    assert "certificate verify failed" in said
    assert str(other.ca) in said


def test_a_broker_under_another_name_than_its_certificate_says_is_not_trusted(secured: SecureBroker) -> None:
    port = secured.bootstrap.rpartition(":")[2]

    said = refused(secured, "framefuse-admin", "topics", "list", FRAMEFUSE_BOOTSTRAP=f"127.0.0.1:{port}")

    assert "certificate verify failed" in said


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_a_password_opens_by_every_mechanism(secured: SecureBroker, mechanism: str, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(password_of("framefuse-admin") + "\n")

    listed = run(
        secured,
        "framefuse-admin",
        *("topics", "list", "--json"),
        FRAMEFUSE_SASL_MECHANISM=mechanism,
        FRAMEFUSE_PASSWORD="",
        FRAMEFUSE_PASSWORD_FILE=str(secret),
    )

    assert "safe.frames" in listed


def oauth(secured: SecureBroker, secret: str) -> dict[str, str]:
    return {
        "FRAMEFUSE_SASL_MECHANISM": "OAUTHBEARER",
        "FRAMEFUSE_OAUTH_TOKEN_URL": secured.issuer.token_url,
        "FRAMEFUSE_OAUTH_CLIENT_ID": CLIENT,
        "FRAMEFUSE_OAUTH_CLIENT_SECRET": secret,
        "FRAMEFUSE_OAUTH_CA": str(secured.ca),
    }


def test_a_token_opens_and_its_bearer_has_the_rights_of_its_name(secured: SecureBroker) -> None:
    known = {name.removeprefix("FRAMEFUSE_").lower(): value for name, value in oauth(secured, SECRET).items()}
    where = {"bootstrap": secured.bootstrap, "security_protocol": "SASL_SSL", "ssl_ca": secured.ca}

    counts = Admin(KafkaSettings(**{**where, **known})).partition_counts()  # type: ignore[arg-type]

    assert counts.keys() == {"safe.schemas"}


def test_a_giver_of_tokens_that_does_not_know_us_ends_a_command(secured: SecureBroker) -> None:
    said = refused(secured, "framefuse-admin", "topics", "list", **oauth(secured, "f4lse-s3cr3t"))

    assert f"does not take us for OAuth client '{CLIENT}'" in said
    assert "f4lse-s3cr3t" not in said


def test_a_certificate_opens_and_its_owner_has_the_rights_of_its_name(secured: SecureBroker) -> None:
    certificate, key = secured.authority.issue(CERTIFIED, password=WRONG)
    settings = KafkaSettings(
        bootstrap=secured.certified,
        security_protocol="SSL",
        ssl_ca=secured.ca,
        ssl_certificate=certificate,
        ssl_key=key,
        ssl_key_password=WRONG,  # type: ignore[arg-type]
    )

    assert Admin(settings).partition_counts().keys() == {"safe.schemas"}
