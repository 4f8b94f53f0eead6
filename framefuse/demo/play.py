"""Plays the demo: broker, topics, workers, two streams at once, a film, and the books at the end.

Everything runs as the commands that a user would type; nothing here knows a model or a codec.
"""

import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.status import Status

from framefuse import broker
from framefuse.audit.books import Books
from framefuse.audit.topics import audit
from framefuse.demo.children import Children
from framefuse.demo.film import Shots, write_film, write_sheet, write_still
from framefuse.demo.progress import showing
from framefuse.errors import Stop
from framefuse.kafka import Admin, Reader, group_of
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.pictures.decoding import decode as decode_picture
from framefuse.pictures.video import VideoWriter
from framefuse.publishing.sources import Picture, SourceOptions, open_sources
from framefuse.settings import KafkaSettings
from schemas.codec import SchemaBook, decode
from schemas.records import Frame, Fused
from schemas.topics import ALL, FRAMES, FUSED

_PARTITIONS = 4
_PATIENCE_S = 240.0
_WORKERS = {"detection": 2, "depth": 2, "join": 1, "object-store": 1}
_SCENE = "synthetic:?seed={seed}&size=640x384&fps={fps}&seconds={seconds}"
_STREET_SEED, _YARD_SEED = 115, 106


@dataclass(frozen=True, slots=True)
class Options:
    """What the demo makes, and where."""

    output: Path
    seconds: int = 8
    fps: int = 8

    @property
    def frames(self) -> int:
        """Of both streams together."""
        return 2 * self.seconds * self.fps


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it."""

    books: Books
    film: Path
    sheet: Path
    results: Path
    frames_per_second: float
    seconds: float


def play(options: Options, console: Console) -> Played:
    """Run the whole pipeline once; nothing but `options.output` is left behind.

    Raises:
        Stop: something could not be started, or ended; the message has the end of its log.
    """
    begun_s = time.monotonic()
    out = options.output
    for old in ("logs", "results"):
        shutil.rmtree(out / old, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with _step(console, "Kafka broker") as status:
            kafka = stack.enter_context(_own_broker(status))
            Admin(kafka).create_topics(ALL, partitions=_PARTITIONS)
            book = SchemaTopic(kafka).book
        environment = {
            "FRAMEFUSE_BOOTSTRAP": str(kafka.bootstrap),
            "FRAMEFUSE_PREFIX": kafka.prefix,
            "FRAMEFUSE_OBJECT_STORE_URL": str(out / "results"),
            "FRAMEFUSE_OBJECT_STORE_MAX_WAIT_S": "2",
        }
        children = stack.enter_context(Children(out / "logs", environment))
        for stage, workers in _WORKERS.items():
            children.start(stage, ["run", stage, "--workers", str(workers)])
        with _step(console, "video clip of a scene"):
            clip = _clip(out / "street.mp4", options)
        with _step(
            console, "workers: " + ", ".join(f"{stage} ×{count}" for stage, count in _WORKERS.items())
        ):
            _wait_for_workers(children, kafka)
        rate = _publish_and_watch(children, kafka, clip, options, console)
        with _step(console, "workers drain and leave"):
            children.stop()
        books = audit(kafka)
        with _step(console, "film and contact sheet"):
            shots = _shots(kafka, book)
            write_film(out / "demo.mp4", shots, fps=options.fps)
            write_sheet(out / "contact-sheet.png", shots)
            write_still(out / "still.jpg", shots)
    took_s = time.monotonic() - begun_s
    return Played(books, out / "demo.mp4", out / "contact-sheet.png", out / "results", rate, took_s)


@contextmanager
def _step(console: Console, name: str) -> Iterator[Status]:
    """Says what is being done, then how long it took."""
    begun_s = time.monotonic()
    with console.status(f"{name} …") as status:
        yield status
    console.print(f"  [green]✓[/green] {name} [dim]{time.monotonic() - begun_s:.1f} s[/dim]", highlight=False)


@contextmanager
def _own_broker(status: Status) -> Iterator[KafkaSettings]:
    """A broker for this demo alone, in a folder that goes with it."""

    def tell(done_bytes: int, total_bytes: int) -> None:
        status.update(f"fetching Kafka, once: {done_bytes / 1e6:.0f} of {total_bytes / 1e6:.0f} MB …")

    folder = Path(tempfile.mkdtemp(prefix="framefuse-demo-"))
    try:
        running = broker.start(folder, port=0, progress=tell)
        try:
            yield KafkaSettings(bootstrap=running.bootstrap, prefix="demo")
        finally:
            broker.stop(folder, timeout_s=10.0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clip(path: Path, options: Options) -> Path:
    """A video file to publish: a drawn scene as H.264; drawn once."""
    address = _SCENE.format(seed=_STREET_SEED, fps=options.fps, seconds=options.seconds)
    made_of = path.with_suffix(".txt")
    if path.is_file() and made_of.is_file() and made_of.read_text() == address:
        return path
    (source,) = open_sources([address], SourceOptions(quality=95))
    with VideoWriter(path, fps=options.fps) as film:
        for item in source:
            if isinstance(item, Picture):
                film.write(decode_picture(item.image, item.encoding))
    made_of.write_text(address)
    return path


def _wait_for_workers(children: Children, kafka: KafkaSettings) -> None:
    """Until all have joined: what the film shows as latency is then theirs, not that of their start."""
    admin = Admin(kafka)
    give_up_s = time.monotonic() + _PATIENCE_S
    for stage, count in _WORKERS.items():
        while admin.group_members(group_of(kafka, stage)) < count:
            children.check()
            if time.monotonic() > give_up_s:
                raise Stop(f"the {count} workers of {stage} did not join in {_PATIENCE_S:.0f} s")
            time.sleep(0.1)


def _publish_and_watch(
    children: Children, kafka: KafkaSettings, clip: Path, options: Options, console: Console
) -> float:
    """Publish both streams at once and show progress until every frame has its outcome; fused frames/s."""
    scene = _SCENE.format(seed=_YARD_SEED, fps=options.fps, seconds=options.seconds)
    streams = ["--stream", "street", "--stream", "yard"]
    children.start("publish", ["publish", str(clip), scene, *streams, "--partition", "auto", "--json"])
    give_up_s = time.monotonic() + _PATIENCE_S
    first_s, first = None, 0
    with Counts(kafka) as counts, showing(console) as show:
        while True:
            now = counts.read()
            show.update(now, options.frames)
            if now["fused"] and first_s is None:
                first_s, first = time.monotonic(), now["fused"]
            if now["fused"] >= options.frames:
                break
            children.check()
            if time.monotonic() > give_up_s:
                raise Stop(
                    f"after {_PATIENCE_S:.0f} s: {now} of {options.frames} frames; see {options.output}/logs"
                )
    elapsed_s = time.monotonic() - (first_s or time.monotonic())
    return (options.frames - first) / elapsed_s if elapsed_s > 0 else 0.0


class Counts:
    """Frames that were published, that each stage has done, and that are fused; a context manager."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._admin = Admin(kafka)
        self._frames = FRAMES.name(kafka.prefix)
        self._reader = Reader(kafka, prefetch=20, client_id="framefuse-demo")
        starts = self._reader.bounds(FUSED.name(kafka.prefix))
        self._reader.assign({part: low for part, (low, _) in starts.items()})
        self._fused = 0

    def read(self) -> dict[str, int]:
        """The counts now, after waiting a moment for results."""
        self._fused += len(self._reader.poll(0.2))
        done = {
            stage: sum(self._admin.group_offsets(group_of(self._kafka, stage), self._frames).values())
            for stage in ("detection", "depth")
        }
        return {
            "published": sum(self._admin.end_offsets(self._frames).values()),
            **done,
            "fused": self._fused,
        }

    def __enter__(self) -> "Counts":
        return self

    def __exit__(self, *exc: object) -> None:
        self._reader.close()


def _shots(kafka: KafkaSettings, book: SchemaBook) -> Shots:
    """Every frame with its result, by stream, in the order of the stream."""
    shots: dict[str, list[tuple[Frame, Fused]]] = defaultdict(list)
    with Reader(kafka, prefetch=20, client_id="framefuse-demo") as reader:
        frames = {
            (message.partition, message.offset): decode(message.value, Frame, book)
            for message in reader.everything(FRAMES.name(kafka.prefix))
        }
        for message in reader.everything(FUSED.name(kafka.prefix)):
            fused = decode(message.value, Fused, book)
            shots[fused.stream_id].append((frames[fused.frame.partition, fused.frame.offset], fused))
    return {stream: sorted(shots[stream], key=lambda shot: shot[1].sequence) for stream in sorted(shots)}
