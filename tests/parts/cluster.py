"""One broker or three, in folders and on ports of their own, which can be killed and come back."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import AdminClient

from framefuse import broker as embedded
from tests.parts.ports import free_port

_CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAAAA"


class Cluster:
    """Brokers that are also the controllers, numbered from 1."""

    def __init__(self, folder: Path, count: int, advertised: Sequence[int] = ()) -> None:
        """`advertised`: the ports that clients are told, if not the brokers' own (a proxy's)."""
        self._folder, self.count = folder, count
        self._ports = [free_port() for _ in range(count)]
        self._advertised = advertised or self._ports
        self._controllers = [free_port() for _ in range(count)]

    @property
    def ports(self) -> Sequence[int]:
        """Where the brokers listen."""
        return self._ports

    @property
    def bootstrap(self) -> str:
        """All brokers, as clients are told."""
        return ",".join(f"127.0.0.1:{port}" for port in self._advertised)

    def start(self, number: int) -> None:
        """Start one broker and wait until it answers."""
        port, controller = self._ports[number - 1], self._controllers[number - 1]
        own = f"CONTROLLER://127.0.0.1:{controller}"
        voters = ",".join(f"{n}@127.0.0.1:{port}" for n, port in enumerate(self._controllers, 1))
        embedded.start(
            self._home(number),
            port=port,
            cluster_id=_CLUSTER_ID,
            extra={
                "node.id": str(number),
                "controller.quorum.voters": voters,
                "listeners": f"PLAINTEXT://127.0.0.1:{port},{own}",
                "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self._advertised[number - 1]},{own}",
                **(_THREE_COPIES if self.count == 3 else {}),
            },
        )

    def kill(self, number: int) -> None:
        """SIGKILL one broker."""
        embedded.stop(self._home(number), graceful=False)

    def leader(self, topic: str, partition: int) -> int:
        """The broker that leads a partition."""
        metadata = AdminClient({"bootstrap.servers": self.bootstrap}).list_topics(topic, timeout=10)
        return int(metadata.topics[topic].partitions[partition].leader)

    def coordinator(self, transactional_id: str) -> int:
        """The broker that coordinates the transactions of an id: who leads its place in Kafka's own topic."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        topic = admin.list_topics("__transaction_state", timeout=10).topics["__transaction_state"]
        return int(topic.partitions[abs(_java_hash(transactional_id)) % len(topic.partitions)].leader)

    def _home(self, number: int) -> Path:
        return self._folder / f"broker-{number}"


_THREE_COPIES = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
}


@contextmanager
def a_cluster(folder: Path, count: int = 1, advertised: Sequence[int] = ()) -> Iterator[Cluster]:
    """Start them all, beside each other; nothing is left running."""
    cluster = Cluster(folder, count, advertised)
    numbers = range(1, count + 1)
    try:
        with ThreadPoolExecutor(count) as threads:
            list(threads.map(cluster.start, numbers))
        yield cluster
    finally:
        for number in numbers:
            cluster.kill(number)


def _java_hash(text: str) -> int:
    """`String.hashCode()`: by it Kafka finds the place of a transactional id."""
    value = 0
    for letter in text:
        value = (31 * value + ord(letter)) & 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value
