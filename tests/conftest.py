"""Fixtures for more than one test file: the real broker, started once a run, and names of one's own."""

import logging
import signal
import uuid
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from framefuse import broker as embedded
from framefuse.broker.home import RunningBroker

if find_spec("hypothesis") is not None:  # `make test-oracle` runs in an environment without it
    import hypothesis

    # How long an example takes says nothing here: what else the machine does, it does meanwhile.
    hypothesis.settings.register_profile("framefuse", deadline=None)
    hypothesis.settings.load_profile("framefuse")

pytest_plugins = ["tests.parts.azure", "tests.parts.s3"]


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> None:
    """Ctrl-C works in what tests start, even where a shell started us in the background, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """The program configures the log of its process, which is that of all tests here."""
    log = logging.getLogger()
    handlers, level = log.handlers[:], log.level
    yield
    log.handlers[:] = handlers
    log.setLevel(level)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    """A real Apache Kafka in a folder and on a port of its own; `.bootstrap` is its address."""
    data_dir = tmp_path_factory.mktemp("broker")
    yield embedded.start(data_dir, port=0)
    embedded.stop(data_dir, graceful=False)


@pytest.fixture
def topic_prefix() -> str:
    """A topic prefix, and so group names, that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"
