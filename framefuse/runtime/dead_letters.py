"""What becomes of a record that will never work: kept byte for byte, with the reason."""

from importlib.metadata import version

from framefuse.errors import Poison
from framefuse.kafka.messages import Message
from schemas.records import DeadLetter, Header

MESSAGE_LIMIT_CHARS = 2000


def letter_for(message: Message, *, stage: str, error: Poison, attempt: int) -> DeadLetter:
    """The dead letter of a record that `stage` gave up on."""
    return DeadLetter(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp=message.timestamp,
        key=message.key,
        value=message.value,
        headers=tuple(Header(name, value) for name, value in message.headers),
        stage=stage,
        error=type(error).__name__,
        message=str(error)[:MESSAGE_LIMIT_CHARS],
        version=version("framefuse"),
        attempt=attempt,
    )


def error_names() -> list[str]:
    """What `DeadLetter.error` can be, as far as classes of errors are known now."""
    names, classes = [], [Poison]
    while classes:
        found = classes.pop()
        names.append(found.__name__)
        classes.extend(found.__subclasses__())
    return sorted(names)
