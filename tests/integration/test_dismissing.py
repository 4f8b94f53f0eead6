"""Dismissing dead letters on the real broker: what closes a case, and what it needs to write for that."""

import pytest
from typer.testing import CliRunner

from framefuse.broker.home import RunningBroker
from framefuse.cli.main import app
from framefuse.dead_letters.dismissing import dismiss
from framefuse.dead_letters.reading import DeadLetterTopic
from framefuse.kafka import Admin, Producer
from framefuse.settings import KafkaSettings
from schemas.codec import encode
from schemas.records import DeadLetter
from schemas.topics import ALL, DEAD_LETTERS, FRAMES, SCHEMAS
from tests.unit.builders import START

pytestmark = pytest.mark.broker


def a_letter(kafka: KafkaSettings, offset: int) -> DeadLetter:
    return DeadLetter(
        topic=FRAMES.name(kafka.prefix),
        partition=0,
        offset=offset,
        timestamp=START,
        value=b"?",
        stage="detection",
        error="UndecodableRecord",
        message="no Avro",
        version="0.1.0",
        attempt=0,
    )


def with_two_letters(broker: RunningBroker, prefix: str) -> KafkaSettings:
    """Topics of this prefix, and two dead letters in them."""
    kafka = KafkaSettings(bootstrap=broker.bootstrap, prefix=prefix)
    Admin(kafka).create_topics(ALL, partitions=1)
    letters = [(b"gate", encode(a_letter(kafka, offset))) for offset in range(2)]
    Producer(kafka).send_all(DEAD_LETTERS.name(prefix), letters, what="letters", within_s=20.0)
    return kafka


def test_who_dismisses_closes_the_case_and_writes_to_no_topic_but_the_dead_letters(
    broker: RunningBroker, topic_prefix: str
) -> None:
    """Stages announce schemas, and who makes the topics; the role for dead letters may only read them."""
    kafka = with_two_letters(broker, topic_prefix)

    with DeadLetterTopic(kafka) as topic:
        first, second = topic.cases()
        dismiss(kafka, [first], "junk of a test")
        closed, still_open = topic.cases()

    assert (closed.last.id, closed.open) == (first.last.id, False)
    assert (still_open.last.id, still_open.open) == (second.last.id, True)
    assert sum(Admin(kafka).end_offsets(SCHEMAS.name(topic_prefix)).values()) == 0


def test_a_letter_or_a_stage_that_is_nowhere_ends_a_command_and_a_replay_names_what_it_cannot_send(
    broker: RunningBroker, topic_prefix: str
) -> None:
    with_two_letters(broker, topic_prefix)

    def told(*arguments: str) -> tuple[int, str]:
        flags = ("--bootstrap", broker.bootstrap, "--prefix", topic_prefix)
        done = CliRunner().invoke(app, ["dead-letters", *arguments, *flags], env={"COLUMNS": "200"})
        return done.exit_code, done.output + (str(done.exception) if done.exception else "")

    for verb in ("list", "replay", "dismiss"):
        code, said = told(verb, "--offset", "99")
        assert (code, f"no letter 99 in {topic_prefix}.dead-letters" in said) == (2, True), said
        code, said = told(verb, "--stage", "nosuch")
        assert (code, "no stage nosuch is installed here" in said) == (2, True), said
        code, said = told(verb, "--stage", "depth")
        assert code == 0, said
    code, said = told("replay")
    assert code == 1
    assert "2 cannot be sent (letters 0, 1): 'framefuse dead-letters dismiss --offset 0-1" in said
    assert told("dismiss", "--offset", "0-1")[0] == 0
    assert told("dismiss", "--offset", "0-1")[0] == 0
