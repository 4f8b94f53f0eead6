"""Closes cases for good: nobody wants them back. The letters keep their bytes until retention removes them.

What is dismissed is noted in the topic of dead letters, as a replay notes what it has sent.
"""

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version

from framefuse.dead_letters.cases import Case
from framefuse.dead_letters.reading import DISMISS, DeadLetterTopic
from framefuse.errors import Retry, Stop
from framefuse.kafka import Delivery, Producer
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.settings import KafkaSettings
from schemas.codec import encode
from schemas.records import DeadLetter
from schemas.topics import DEAD_LETTERS

_WITHIN_S = 30.0


def note_of(letter: DeadLetter, attempt: int, reason: str) -> DeadLetter:
    """What closes the case of this letter: itself without its bytes, and why."""
    return replace(
        letter,
        value=None,
        headers=(),
        stage=DISMISS,
        error="Dismissed",
        message=reason,
        version=version("framefuse"),
        attempt=attempt,
    )


def dismiss(settings: KafkaSettings, cases: Sequence[Case], reason: str) -> None:
    """Note that these cases are closed.

    Raises:
        BrokerUnavailable: no broker answers.
        Retry: it has not acknowledged all of the notes.
        Stop: it does not take them.
    """
    refused: list[str] = []

    def noted(delivery: Delivery) -> None:
        if delivery.error is not None:
            refused.append(delivery.error)

    topic, attempts = DEAD_LETTERS.name(settings.prefix), {case.last.id: case.attempt for case in cases}
    SchemaTopic(settings)
    producer = Producer(settings, client_id="framefuse-dismiss")
    try:
        with DeadLetterTopic(settings) as letters:
            for letter_id, letter in letters.letters(list(attempts)):
                note = note_of(letter, attempts[letter_id], reason)
                producer.send(topic, encode(note), key=letter.key, on_delivery=noted)
                producer.poll(0)
        unanswered = producer.flush(_WITHIN_S)
        if refused:
            raise Stop(f"{len(refused)} of {len(attempts)} letters could not be dismissed: {refused[0]}")
        if unanswered:
            raise Retry("the broker has not acknowledged all of it: see 'framefuse dead-letters list'")
    finally:
        producer.close()
