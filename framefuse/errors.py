"""The tree of errors: the class of an error says what happens next.

    FramefuseError
    ├── Poison                  this record will never work: dead-letter it, go on
    │   ├── UndecodableRecord   the value is not a record we can read
    │   ├── UnreadableImage     the record is fine, its picture is not
    │   └── ProcessorFailed     the fault is ours; too many of these stop the worker
    │       └── ModelFailed
    ├── Retry                   not now: the same record again after `retry_after_s`
    │   └── SinkBusy
    └── Stop                    this process cannot do its job: exit, and say how to mend it
        ├── BadInput            what the user gave cannot be used
        ├── BrokerUnavailable
        ├── AccessDenied        the broker does not know us, or we lack a right
        ├── PartitionCountMismatch
        ├── ModelUnusable
        └── ProviderUnavailable

A message says what was found, what was expected, and the command or setting that mends it.
No message carries a secret.
"""


class FramefuseError(Exception):
    """Anything framefuse raises on purpose."""


class Poison(FramefuseError):
    """This record will never work; it goes to the dead letters and the rest goes on."""


class UndecodableRecord(Poison):
    """A value that is not Avro, has an unknown schema, or does not follow it."""


class UnreadableImage(Poison):
    """A picture that is broken, too large, or not what its record says it is."""


class ProcessorFailed(Poison):
    """The code of a stage failed on this record, which may be fine; see `dead_letter_limit`."""


class ModelFailed(ProcessorFailed):
    """The model failed on this picture, or gave no numbers for it."""


class Retry(FramefuseError):
    """Not now: the same record again after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SinkBusy(Retry):
    """A sink that cannot take the batch at the moment."""


class Stop(FramefuseError):
    """This process cannot do its job; the message says how to mend it."""


class BadInput(Stop):
    """What the user gave (a path, a flag, a setting) cannot be used."""


class BrokerUnavailable(Stop):
    """No broker answers at the given address."""


class AccessDenied(Stop):
    """The broker does not take us for who we say we are, or denies us a right; the message says which."""


class PartitionCountMismatch(Stop):
    """Topics that must have the same number of partitions have not."""


class ModelUnusable(Stop):
    """A model file that is missing, broken, or not of a kind we know."""


class ProviderUnavailable(Stop):
    """The execution provider that was asked for is not really active."""
