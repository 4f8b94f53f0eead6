"""What may be declared, and what has to change so that what is declared becomes what is wanted. No Kafka.

A configuration is YAML:

    streams:
      - id: gate
        url: rtsp://viewer:${GATE_PASSWORD}@10.0.0.11/stream1
        fps: 10             # at most; all frames of the camera when left out
        freshness: 500      # milliseconds after which a live frame expires
        partition: 3        # of frames; by the id when left out
      - id: tour
        url: /videos/tour.mp4
        live: true          # a file: in its own time, again and again, as a camera
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from framefuse.errors import BadInput
from framefuse.publishing.decisions import checked_stream_id
from framefuse.publishing.sources import PATHS, scheme_of
from framefuse.streams.credentials import check
from schemas.records import Stream

_FIELDS = ("id", "url", "fps", "freshness", "partition", "live")
_LONGEST_FRESHNESS_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Changes:
    """What to write, and what stays as it is; ids of streams, or streams as they shall be."""

    added: Sequence[Stream] = ()
    changed: Sequence[Stream] = ()
    removed: Sequence[str] = ()
    left: Sequence[str] = ()
    """Declared, not wanted, and not removed: nobody asked for that."""
    unchanged: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def declaration(
    stream_id: str,
    url: str,
    *,
    fps: float | None = None,
    freshness_ms: int | None = None,
    partition: int | None = None,
    live: bool | None = None,
) -> Stream:
    """A stream as it goes into the topic.

    Args:
        stream_id: of `A-Z a-z 0-9 . _ -`.
        url: what a source opens; a relative path becomes absolute, publishers have a folder of their own.
        fps: at most so many frames a second.
        freshness_ms: a live frame expires after this long.
        partition: of `frames`; by the id when None.
        live: newer frames matter more; when None, all but files are.

    Raises:
        BadInput: a value that cannot be, or a literal password; the message does not repeat it.
    """
    checked_stream_id(stream_id)
    if not url or any(letter < " " for letter in url):
        raise BadInput(f"stream {stream_id}: the url is empty or holds control characters")
    check(url)
    if fps is not None and not (math.isfinite(fps) and 0 < fps <= 1000):
        raise BadInput(f"stream {stream_id}: fps {fps:g}, expected a number above 0, at most 1000")
    if freshness_ms is not None and not 1 <= freshness_ms <= _LONGEST_FRESHNESS_MS:
        raise BadInput(f"stream {stream_id}: freshness {freshness_ms}, expected 1 ms to a day (86400000)")
    if partition is not None and partition < 0:
        raise BadInput(f"stream {stream_id}: partition {partition}, expected a number from 0")
    is_path = scheme_of(url) == PATHS
    return Stream(
        stream_id=stream_id,
        source=str(Path(url).absolute()) if is_path and not url.lower().startswith("file:") else url,
        live=not is_path if live is None else live,
        fps=None if fps is None else float(fps),
        freshness_ms=freshness_ms,
        partition=partition,
    )


def read_config_file(path: Path) -> list[Stream]:
    """As `read_config`, from a file.

    Raises:
        BadInput: also where it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {getattr(error, 'strerror', None) or 'is not UTF-8'}") from None
    return read_config(text, str(path))


def read_config(text: str, name: str) -> list[Stream]:
    """The streams of a configuration, in its order.

    Args:
        text: YAML.
        name: of the file, for messages.

    Raises:
        BadInput: not as expected; the message names the line.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadInput(f"{name}, line {line}: no YAML: {error.problem}") from None
    except yaml.YAMLError as error:  # a character that no YAML may have
        raise BadInput(f"{name}: no YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise BadInput(f"{name}: no YAML of ours: it is nested too deep") from None
    found: dict[str, int] = {}
    streams = []
    for node in _entries(root, name):
        where = f"{name}, line {node.start_mark.line + 1}"
        stream = _stream_of(node, where)
        if stream.stream_id in found:
            raise BadInput(
                f"{where}: stream {stream.stream_id} comes again, first in line {found[stream.stream_id]}"
            )
        found[stream.stream_id] = node.start_mark.line + 1
        streams.append(stream)
    return streams


def changes(there: Mapping[str, Stream], wanted: Sequence[Stream], *, prune: bool) -> Changes:
    """What makes `there` into `wanted`.

    Args:
        there: what is declared now.
        wanted: all that should be.
        prune: remove what is declared and not wanted; else it is left.
    """
    surplus = sorted(there.keys() - {stream.stream_id for stream in wanted})
    return Changes(
        added=[stream for stream in wanted if stream.stream_id not in there],
        changed=[stream for stream in wanted if there.get(stream.stream_id, stream) != stream],
        removed=surplus if prune else (),
        left=() if prune else surplus,
        unchanged=[stream.stream_id for stream in wanted if there.get(stream.stream_id) == stream],
    )


def without(there: Mapping[str, Stream], stream_ids: Sequence[str]) -> Changes:
    """What removes these streams.

    Raises:
        BadInput: one of them is not declared; nothing is removed then.
    """
    for stream_id in stream_ids:
        if stream_id not in there:
            near = get_close_matches(stream_id, there, n=1)
            hint = f"did you mean '{near[0]}'?" if near else "see 'framefuse streams list'"
            raise BadInput(f"no stream '{stream_id}' is declared: {hint}")
    return Changes(removed=list(dict.fromkeys(stream_ids)))


def differences(before: Stream, after: Stream) -> list[tuple[str, object, object]]:
    """The fields that differ, with their values before and after; no credentials are in them."""
    names = ("source", "live", "fps", "freshness_ms", "partition")
    return [
        (name, old, new) for name in names if (old := getattr(before, name)) != (new := getattr(after, name))
    ]


def emptiest_first(held: Sequence[int]) -> int:
    """The partition of the topic `streams` for one more stream.

    The one with the fewest streams. Among equals not the next but one half a round further, so that a few
    streams spread over the publishers however their shares are cut, in blocks or in turn.

    Args:
        held: streams of each partition now, by number.
    """
    count = len(held)
    step = next(step for step in itertools.count(count // 2 + 1) if math.gcd(step, count) == 1)
    order = [number * step % count for number in range(count)]
    return min(order, key=lambda number: (held[number], order.index(number)))


def _entries(root: yaml.Node | None, name: str) -> Iterator[yaml.MappingNode]:
    expected = "expected 'streams:' with a list, see 'framefuse streams apply --help'"
    if not isinstance(root, yaml.MappingNode):
        raise BadInput(f"{name}: {expected}")
    for key, value in root.value:
        if key.value != "streams" or not isinstance(value, yaml.SequenceNode):
            raise BadInput(f"{name}, line {key.start_mark.line + 1}: found '{key.value}', {expected}")
        for node in value.value:
            if not isinstance(node, yaml.MappingNode):
                raise BadInput(f"{name}, line {node.start_mark.line + 1}: expected 'id: …' and 'url: …'")
            yield node


def _stream_of(node: yaml.MappingNode, where: str) -> Stream:
    values: dict[str, Any] = {}
    for key, value in node.value:
        line = f"{where.rpartition(' ')[0]} {key.start_mark.line + 1}"
        if key.value not in _FIELDS:
            raise BadInput(f"{line}: no field '{key.value}', there are {', '.join(_FIELDS)}")
        if key.value in values:
            raise BadInput(f"{line}: '{key.value}' comes twice")
        values[key.value] = _scalar(key.value, value, line)
    for name in ("id", "url"):
        if values.get(name) is None:
            raise BadInput(f"{where}: a stream without '{name}'")
    try:
        return declaration(
            values["id"],
            values["url"],
            fps=values.get("fps"),
            freshness_ms=values.get("freshness"),
            partition=values.get("partition"),
            live=values.get("live"),
        )
    except BadInput as error:
        prefix = f"{where}, stream {values['id']}: "
        raise type(error)(prefix + str(error).removeprefix(f"stream {values['id']}: ")) from None


_KINDS: Mapping[str, tuple[str, str]] = {
    "fps": ("int float", "a number"),
    "freshness": ("int", "whole milliseconds"),
    "partition": ("int", "a number from 0"),
    "live": ("bool", "true or false"),
}


def _scalar(field: str, node: yaml.Node, line: str) -> object:
    if not isinstance(node, yaml.ScalarNode):
        raise BadInput(f"{line}: {field} is a list or a mapping, expected one value")
    kind = node.tag.rpartition(":")[2]
    if field in ("id", "url"):
        return None if kind == "null" else str(node.value)  # an id of digits is an id
    if kind == "null":
        return None
    expected, words = _KINDS[field]
    if kind not in expected.split():
        raise BadInput(f"{line}: {field} '{node.value}', expected {words}")
    loader = yaml.SafeLoader("")
    return loader.construct_object(node)
