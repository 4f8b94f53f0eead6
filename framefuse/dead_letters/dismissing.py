"""Closes cases for good: nobody wants them back. The letters keep their bytes until retention removes them.

What is dismissed is noted in the topic of dead letters, as a replay notes what it has sent. Neither announces
a schema: stages do, and who makes the topics.
"""

from collections.abc import Sequence

from framefuse.dead_letters.cases import Case
from framefuse.dead_letters.notes import DISMISS, closing_note
from framefuse.dead_letters.reading import DeadLetterTopic
from framefuse.errors import Retry
from framefuse.kafka import Producer
from framefuse.settings import KafkaSettings
from schemas.codec import encode
from schemas.topics import DEAD_LETTERS

_WITHIN_S = 30.0


def dismiss(settings: KafkaSettings, cases: Sequence[Case], reason: str) -> None:
    """Note that these cases are closed.

    Raises:
        BrokerUnavailable: no broker answers.
        Retry: it has not acknowledged all of the notes in time.
        Stop: we may not write them.
    """
    topic, attempts = DEAD_LETTERS.name(settings.prefix), {case.last.id: case.attempt for case in cases}
    producer = Producer(settings, client_id="framefuse-dismiss")
    try:
        with DeadLetterTopic(settings) as letters:
            notes = (
                (
                    letter.key,
                    encode(closing_note(letter, stage=DISMISS, message=reason, attempt=attempts[one])),
                )
                for one, letter in letters.letters(list(attempts))
            )
            producer.send_all(topic, notes, what="dismissals", within_s=_WITHIN_S)
    except Retry as error:
        raise Retry(f"{error}; see 'framefuse dead-letters list'") from error
    finally:
        producer.close()
