"""The embedded broker started, found, killed and stopped for real; an outside client says what it holds."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from framefuse import broker as embedded
from framefuse.broker import lifecycle
from framefuse.broker.home import BrokerHome, RunningBroker
from framefuse.errors import BrokerUnavailable, Stop
from framefuse.kafka import Admin, admin, resolve_bootstrap
from framefuse.settings import KafkaSettings

pytestmark = pytest.mark.broker
MIB = 1024 * 1024


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder for a broker of the test's own; what runs there afterwards is killed."""
    yield tmp_path / "broker"
    embedded.stop(tmp_path / "broker", graceful=False)


def write(bootstrap: str, topic: str, value: bytes) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for created in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        created.result(10)
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 9 * MIB})
    producer.produce(topic, value)
    assert producer.flush(20) == 0


def read(bootstrap: str, topic: str) -> bytes:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": f"{topic}-readers", "auto.offset.reset": "earliest"}
    )
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        message = consumer.poll(20)
        assert message is not None
        assert message.error() is None
        value = message.value()
        assert isinstance(value, bytes)
        return value
    finally:
        consumer.close()


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def framefuse_broker(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from framefuse.cli.broker import app; app()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def test_a_dead_letter_of_8_mib_goes_in_and_out(broker: RunningBroker, topic_prefix: str) -> None:
    value = os.urandom(MIB) * 8
    write(broker.bootstrap, topic_prefix, value)
    assert read(broker.bootstrap, topic_prefix) == value


def test_the_broker_outlives_the_command_that_started_it_and_other_processes_find_it(data_dir: Path) -> None:
    folder = str(data_dir)
    up = framefuse_broker("up", "--data", folder, "--port", str(a_free_port()))
    assert up.returncode == 0, up.stderr
    running = embedded.status(data_dir)
    assert running is not None
    assert running.bootstrap in up.stdout
    assert up.stdout.endswith(f"export FRAMEFUSE_BROKER_DATA={running.data_dir}\n")
    shown = framefuse_broker("status", "--json", "--data", folder)
    assert json.loads(shown.stdout)["bootstrap"] == running.bootstrap
    write(running.bootstrap, "frames", b"a frame")

    assert framefuse_broker("down", "--data", folder).stdout == "stopped\n"
    assert embedded.running_bootstrap(data_dir) is None
    assert framefuse_broker("status", "--data", folder).returncode == 3
    assert framefuse_broker("down", "--data", folder).stdout == "no broker was running\n"


def test_a_broker_that_answers_without_being_known_is_told_of(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(embedded.DATA_VARIABLE, str(tmp_path))
    monkeypatch.setattr(lifecycle, "USUAL_PORT", int(broker.bootstrap.rpartition(":")[2]))
    with pytest.raises(BrokerUnavailable, match=f"a Kafka answers at {broker.bootstrap}: take it with"):
        resolve_bootstrap(KafkaSettings())


def test_where_nobody_listens_there_is_no_waiting_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "_TRIES_S", (1.5, 1e6))
    nobody = KafkaSettings(bootstrap=f"127.0.0.1:{a_free_port()},127.0.0.1:{a_free_port()}")
    with pytest.raises(BrokerUnavailable, match="Connection refused"):
        Admin(nobody).partition_counts()


def test_a_killed_broker_comes_back_soon_on_the_same_port_with_what_it_held(data_dir: Path) -> None:
    first = embedded.start(data_dir, port=0)
    write(first.bootstrap, "frames", b"written before the kill")
    embedded.stop(data_dir, graceful=False)
    started_s = time.monotonic()
    second = embedded.start(data_dir)
    assert time.monotonic() - started_s < 20
    assert second.pid != first.pid
    assert second.bootstrap == first.bootstrap
    assert read(second.bootstrap, "frames") == b"written before the kill"


def test_a_stopped_broker_keeps_what_it_held_when_its_port_changes(data_dir: Path) -> None:
    first = embedded.start(data_dir, port=0)
    write(first.bootstrap, "frames", b"written before the move")
    embedded.stop(data_dir)
    with socket.create_server(("127.0.0.1", first.port)):
        second = embedded.start(data_dir, port=0)
    assert second.port != first.port
    assert read(second.bootstrap, "frames") == b"written before the move"


def test_a_second_start_gives_the_broker_that_runs(broker: RunningBroker) -> None:
    assert embedded.start(broker.data_dir) == broker
    assert embedded.start(broker.data_dir, port=broker.port) == broker


def test_a_second_start_on_another_port_is_refused(broker: RunningBroker) -> None:
    with pytest.raises(Stop, match=f"already runs on port {broker.port}.*broker down"):
        embedded.start(broker.data_dir, port=a_free_port())


def test_two_starts_at_once_make_one_broker(data_dir: Path) -> None:
    started: list[RunningBroker] = []
    threads = [
        threading.Thread(target=lambda: started.append(embedded.start(data_dir, port=0))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 2
    assert started[0] == started[1]


def test_a_taken_port_is_refused_before_a_jvm_starts(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Stop, match=f"port {port} .*--port"):
            embedded.start(data_dir, port=port)
    assert embedded.status(data_dir) is None


def test_settings_that_kafka_refuses_are_told_in_its_words(data_dir: Path) -> None:
    with pytest.raises(BrokerUnavailable, match=r"log\.cleaner\.threads"):
        embedded.start(data_dir, port=0, extra={"log.cleaner.threads": "-1"})
    assert embedded.status(data_dir) is None


def test_a_jvm_that_ends_while_it_starts_fails_at_once_with_the_end_of_its_log(data_dir: Path) -> None:
    controller = f"127.0.0.1:{a_free_port()}"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        client = f"127.0.0.1:{taken.getsockname()[1]}"
        extra = {
            "listeners": f"PLAINTEXT://{client},CONTROLLER://{controller}",
            "controller.quorum.voters": f"1@{controller}",
        }
        with pytest.raises(BrokerUnavailable, match=r"(?s)ended while it started.*Address already in use"):
            embedded.start(data_dir, port=0, extra=extra)
    assert embedded.status(data_dir) is None


def test_a_broker_that_takes_too_long_is_ended(data_dir: Path) -> None:
    with pytest.raises(BrokerUnavailable, match=r"did not answer .* within 0\.2 s"):
        embedded.start(data_dir, port=0, timeout_s=0.2)
    assert embedded.status(data_dir) is None


def test_a_pid_that_now_belongs_to_another_program_is_never_signalled(tmp_path: Path) -> None:
    home = BrokerHome(tmp_path)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        home.remember(RunningBroker("127.0.0.1:9092", stranger.pid, "4.2.1", 0.0, tmp_path))
        assert embedded.status(tmp_path) is None
        assert embedded.stop(tmp_path, graceful=False) is False
        assert stranger.poll() is None
        stranger.send_signal(signal.SIGKILL)


def test_a_state_file_that_was_cut_short_counts_as_no_broker(tmp_path: Path) -> None:
    home = BrokerHome(tmp_path)
    home.remember(RunningBroker("127.0.0.1:9092", 1, "4.2.1", 0.0, tmp_path))
    home.state.write_text(home.state.read_text()[:20])
    assert embedded.status(tmp_path) is None


def test_a_folder_that_a_newer_kafka_has_written_is_refused_in_a_sentence(tmp_path: Path) -> None:
    BrokerHome(tmp_path).remember(RunningBroker("127.0.0.1:9092", 1, "4.10.0", 0.0, tmp_path))
    with pytest.raises(Stop, match=r"written by Kafka 4\.10\.0.*move it away"):
        embedded.start(tmp_path, port=0)


def test_what_is_no_broker_does_not_answer(broker: RunningBroker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert not embedded.answers(address)
    assert embedded.answers(broker.bootstrap)
