"""Runs a stage in this process: its workers as threads that share one processor, one model, one metrics port.

Threads, not processes: the heavy parts (OpenCV, ONNX Runtime, librdkafka, PNG) release the GIL, and the model
is in memory once. More processes or hosts are more `framefuse run` commands.
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
from prometheus_client import REGISTRY

from framefuse import metrics
from framefuse.errors import BadInput, Stop
from framefuse.kafka import Admin, GroupConsumer, TransactionalProducer, group_of
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.plugins import load_sink
from framefuse.runtime.compute import Computation
from framefuse.runtime.dead_letters import error_names
from framefuse.runtime.health import HealthServer
from framefuse.runtime.instance import claim
from framefuse.runtime.intake import Intake
from framefuse.runtime.last_outcomes import LastOutcomes
from framefuse.runtime.letters_first import DeadLetterBox, LettersFirst
from framefuse.runtime.merging import MergeMembership, MergeParts
from framefuse.runtime.rejoining import Life, run_worker
from framefuse.runtime.result_size import SizeLimit
from framefuse.runtime.waits import SinkWaits
from framefuse.runtime.worker import Membership, Parts
from framefuse.settings import KafkaSettings, StageSettings
from framefuse.types import Processor, Sink, SinkContext, Stage, StageRun
from schemas.topics import DEAD_LETTERS, FRAMES, Topic

log = logging.getLogger("framefuse.running")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a process runs a stage."""

    workers: int = 1
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None


Begin = Callable[[str, threading.Event], Life]


def run_stage(
    stage: Stage[Any],
    settings: StageSettings,
    kafka: KafkaSettings,
    options: RunOptions,
    stop: threading.Event,
) -> None:
    """Work until `stop` is set; then drain, commit and leave the group.

    Raises:
        Stop: the stage cannot run, or a worker cannot go on; the other workers are drained first.
    """
    if stage.main is not None:
        _run_own_loop(stage, settings, kafka, options, stop)
        return
    cv2.setNumThreads(1)  # the threads that prepare records are the parallelism
    partitions = Admin(kafka).check_partitions()
    if options.workers > partitions:
        log.warning("%d workers for %d partitions: the rest will idle", options.workers, partitions)
    with ExitStack() as stack:
        waits = SinkWaits(stage.name)
        begin = (
            _merging(stage, settings, kafka)
            if stage.merge
            else _processing(stage, settings, kafka, stack, waits)
        )
        metrics.begin_at_zero(stage.name, error_names())
        group = group_of(kafka, stage.name)
        slots = [claim(group, index) for index in range(options.workers)]
        for slot in slots:
            stack.callback(slot.release)
        crew = Crew(stage.name, [f"{group}.{slot.name}" for slot in slots], begin, waits, stop)
        server = HealthServer(
            host=options.metrics_host, port=options.metrics_port, healthy=crew.trouble, ready=crew.missing
        )
        stack.callback(server.close)
        log.info("%s: %d workers, metrics on http://%s/metrics", stage.name, options.workers, server.address)
        crew.run()


def _run_own_loop(
    stage: Stage[Any],
    settings: StageSettings,
    kafka: KafkaSettings,
    options: RunOptions,
    stop: threading.Event,
) -> None:
    """A stage that brings its own loop: one a process, with the same name, ports and signals as workers."""
    if stage.main is None or options.workers != 1:
        raise BadInput(f"{stage.name} is one worker a process: start 'framefuse run {stage.name}' once more")
    group = group_of(kafka, stage.name)
    with ExitStack() as stack:
        slot = claim(group, 0)
        stack.callback(slot.release)
        run = StageRun(kafka, f"{group}.{slot.name}", stop, threading.Event())
        server = HealthServer(
            host=options.metrics_host,
            port=options.metrics_port,
            healthy=lambda: None,  # what cannot go on raises, and the process ends
            ready=lambda: None if run.ready.is_set() else "not yet at work",
        )
        stack.callback(server.close)
        log.info("%s: metrics on http://%s/metrics", stage.name, server.address)
        stage.main(settings, run)


class Crew:
    """The workers of this process, each in a thread; the first that cannot go on ends them all."""

    def __init__(
        self, stage: str, names: Sequence[str], begin: "Begin", waits: SinkWaits, stop: threading.Event
    ) -> None:
        self._stage, self._names, self._begin, self._stop = stage, names, begin, stop
        self._waits = waits
        self._failure: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        """Work until stopped.

        Raises:
            Stop: as a worker said.
        """
        self._threads = [threading.Thread(target=self._work, args=(name,), name=name) for name in self._names]
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join()
        if self._failure is not None:
            raise self._failure

    def trouble(self) -> str | None:
        """For /healthz."""
        dead = [thread.name for thread in self._threads if not thread.is_alive()]
        return f"ended: {', '.join(dead)}" if dead else None

    def missing(self) -> str | None:
        """For /readyz."""
        away = [
            name
            for name in self._names
            if REGISTRY.get_sample_value("framefuse_worker_up", {"stage": self._stage, "worker": name}) != 1
        ]
        waits = [f"{name} waits for its sink: {why}" for name, why in self._waits.because.items()]
        return "\n".join([*([f"not yet in the group: {', '.join(away)}"] if away else []), *waits]) or None

    def _work(self, name: str) -> None:
        try:
            run_worker(self._stage, name, partial(self._begin, name, self._stop), self._stop)
        except BaseException as error:  # raised again by the thread that runs the crew
            self._failure = self._failure or error
            self._stop.set()


def _processing(
    stage: Stage[Any], settings: StageSettings, kafka: KafkaSettings, stack: ExitStack, waits: SinkWaits
) -> Begin:
    """How to begin a life of a worker that processes record by record."""
    (source,) = stage.sources
    topic = source.name(kafka.prefix)
    if stage.build is None:
        raise Stop(f"stage {stage.name} has none of build, merge and main")
    processor: Processor[Any, Any, Any] = stage.build(settings)
    stack.callback(processor.close)
    threads = stack.enter_context(ThreadPoolExecutor(_decoders(), thread_name_prefix=f"{stage.name} prepare"))
    schemas = SchemaTopic(kafka)
    open_sink = load_sink("topic" if isinstance(stage.to, Topic) else str(stage.to))
    policy = stage.batch(settings)
    metrics.BATCH_LIMIT.labels(stage.name).set(policy.max_records)

    def begin(name: str, stop: threading.Event) -> Life:
        topic_ids = Admin(kafka).topic_ids([FRAMES.name(kafka.prefix), topic])
        context = SinkContext(
            prefix=kafka.prefix,
            topic_ids=topic_ids,
            kafka=kafka,
            to=stage.to if isinstance(stage.to, Topic) else None,
            writer_id=name,
        )
        parts = Parts(
            stage=stage.name,
            name=name,
            source=topic,
            intake=Intake(source.record, schemas.book, schemas.refresh),
            computation=Computation(stage.name, processor, threads, settings),
            policy=policy,
            consumer=partial(
                GroupConsumer,
                kafka,
                group_of(kafka, stage.name),
                [topic],
                client_id=name,
                series=topic_ids[FRAMES.name(kafka.prefix)],
                prefetch_records=2 * policy.max_records + 8,
            ),
            sink=partial(_open_sink, open_sink, settings, context),
            waits=waits,
        )
        return Membership(parts, stop)

    return begin


def _open_sink(
    open_sink: Callable[..., Sink[Any]], settings: StageSettings, context: SinkContext
) -> Sink[Any]:
    """The sink of a stage; dead letters go into the same transaction, or first."""
    sink = open_sink(settings, context)
    if context.to is not None or context.kafka is None:
        return sink
    return LettersFirst(sink, DeadLetterBox(context.kafka).post)


def _merging(stage: Stage[Any], settings: StageSettings, kafka: KafkaSettings) -> Begin:
    """How to begin a life of a worker that merges sorted logs."""
    if stage.merge is None or not isinstance(stage.to, Topic):
        raise Stop(f"stage {stage.name}: a merge writes to a topic")
    schemas = SchemaTopic(kafka)
    sources = {source.name(kafka.prefix): source for source in stage.sources}
    to, merge = stage.to, stage.merge
    frames = FRAMES.name(kafka.prefix)

    def begin(name: str, stop: threading.Event) -> Life:
        parts = MergeParts(
            stage=stage.name,
            name=name,
            sources={topic: source.suffix for topic, source in sources.items()},
            intakes={
                topic: Intake(source.record, schemas.book, schemas.refresh)
                for topic, source in sources.items()
            },
            to=SizeLimit.of(to, kafka.prefix),
            dead_letters=DEAD_LETTERS.name(kafka.prefix),
            merge=lambda: merge(settings),
            last=partial(LastOutcomes(kafka, to.name(kafka.prefix), frames, schemas.book).of, to.record),
            consumer=partial(
                GroupConsumer,
                kafka,
                group_of(kafka, stage.name),
                list(sources),
                client_id=name,
                series=Admin(kafka).topic_ids([frames])[frames],
            ),
            producer=lambda: TransactionalProducer(kafka, name),
        )
        return MergeMembership(parts, stop)

    return begin


def _decoders() -> int:
    """Threads that prepare records: as many as cores, but leave a large host some for the models."""
    return max(2, min(8, os.cpu_count() or 2))
