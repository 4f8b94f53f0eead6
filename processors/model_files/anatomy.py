"""What an ONNX file holds, without the `onnx` package: opsets, element types of its weights, files beside it.

Reads the few fields of the protobuf that say so and skips the rest; knows nothing of what the model does.
"""

import mmap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from framefuse.errors import ModelUnusable

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EXTERNAL = 1
_ELEMENTS = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool",
    10: "float16", 11: "float64", 16: "bfloat16", 17: "float8", 18: "float8", 19: "float8", 20: "float8",
    21: "uint4", 22: "int4", 23: "float4",
}  # fmt: skip
_DEEPEST = 16


class NotOnnx(ValueError):
    """The bytes are no ONNX model."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Of one ONNX file."""

    opsets: Mapping[str, int]
    """Version by domain; the domain of ONNX itself is ""."""
    producer: str
    weights: Mapping[str, int]
    """Numbers by element type."""
    external: frozenset[str]
    """Files that hold weights, as the model spells them."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What whoever exported it wrote into it."""

    @property
    def speaks_for_itself(self) -> bool:
        """Whether its metadata says what it is, as of Ultralytics and ours; else files beside it may."""
        said = self.metadata.keys()
        return "kind" in said or ("names" in said and not said.isdisjoint(("stride", "resize")))

    @property
    def precision(self) -> str:
        """The element type of most weights, with "mixed" where a tenth of them is of another one."""
        floats = {
            name: count for name, count in self.weights.items() if name not in ("int64", "int32", "bool")
        }
        total = sum(floats.values())
        if not total:
            return "float32"
        name = max(floats, key=lambda one: floats[one])
        return name if floats[name] >= 0.9 * total else f"{name}, mixed"


@dataclass(slots=True)
class _Found:
    opsets: dict[str, int] = field(default_factory=dict)
    producer: str = ""
    weights: Counter[str] = field(default_factory=Counter)
    external: set[str] = field(default_factory=set)
    metadata: dict[str, str] = field(default_factory=dict)


class Companions(NamedTuple):
    """What a model file needs beside it."""

    weights: Sequence[str] = ()
    """Names of files, relative to its folder, sorted."""
    settings: bool = False
    """Whether the JSON files of transformers count, where there are some."""


def read_anatomy(path: Path) -> Anatomy:
    """Look into a file.

    Raises:
        NotOnnx: it is none.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        try:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:  # an empty file cannot be mapped
            raise NotOnnx(str(error)) from None
    return anatomy_of(memoryview(content))  # let go, not closed: what a traceback holds may lead into it


def anatomy_of(content: memoryview) -> Anatomy:
    """Look into the bytes of a model; NotOnnx where they are none."""
    found = _Found()
    for number, value in _fields(content):
        if number == 2 and isinstance(value, memoryview):
            found.producer = _text(value)
        elif number == 8 and isinstance(value, memoryview):
            opset = dict(_fields(value))
            domain, version = opset.get(1, b""), opset.get(2, 0)
            if isinstance(version, int) and not isinstance(domain, int):
                found.opsets[_text(domain)] = version
        elif number == 7 and isinstance(value, memoryview):
            _graph(value, found, 0)
        elif number == 14 and isinstance(value, memoryview):
            entry = {key: _text(text) for key, text in _fields(value) if isinstance(text, memoryview)}
            found.metadata[entry.get(1, "")] = entry.get(2, "")
    if not found.opsets:
        raise NotOnnx("it names no opset")
    return Anatomy(
        found.opsets, found.producer, dict(found.weights), frozenset(found.external), found.metadata
    )


def companions_of(path: Path, whence: str | None = None) -> Companions:
    """What this file needs beside it; nothing where it is no ONNX file.

    Args:
        path: where it lies.
        whence: what errors call it, where its user does not know it by that path.

    Raises:
        ModelUnusable: a name leads out of the folder.
        OSError: it cannot be read.
    """
    try:
        anatomy = read_anatomy(path)
    except NotOnnx:
        return Companions()  # the runtime says in its own words what is wrong
    for name in anatomy.external:
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\\" in name or not name.isprintable():
            raise ModelUnusable(f"{whence or path} keeps weights in {name!r}: expected a file beside it")
    weights = sorted(str(PurePosixPath(name)) for name in anatomy.external)
    return Companions(weights, settings=not anatomy.speaks_for_itself)


def _graph(content: memoryview, found: _Found, depth: int) -> None:
    if depth > _DEEPEST:
        raise NotOnnx("its graphs are nested too deeply")
    for number, value in _fields(content):
        if not isinstance(value, memoryview):
            continue
        if number == 1:
            _node(value, found, depth)
        elif number == 5:
            _tensor(value, found)


def _node(content: memoryview, found: _Found, depth: int) -> None:
    for number, attribute in _fields(content):
        if number != 5 or not isinstance(attribute, memoryview):
            continue
        for kind, value in _fields(attribute):
            if kind in (5, 10) and isinstance(value, memoryview):
                _tensor(value, found)
            elif kind in (6, 11) and isinstance(value, memoryview):
                _graph(value, found, depth + 1)


def _tensor(content: memoryview, found: _Found) -> None:
    element, count = "", 1
    external: dict[str, str] = {}
    location = 0
    for number, value in _fields(content):
        if number == 1:
            for size in [value] if isinstance(value, int) else _varints(value):
                count *= size
        elif number == 2 and isinstance(value, int):
            element = _ELEMENTS.get(value, f"type {value}")
        elif number == 13 and isinstance(value, memoryview):
            entry = {key: _text(text) for key, text in _fields(value) if isinstance(text, memoryview)}
            external[entry.get(1, "")] = entry.get(2, "")
        elif number == 14 and isinstance(value, int):
            location = value
    found.weights[element] += count
    if location == _EXTERNAL:
        found.external.add(external.get("location", ""))


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a message; values of fixed width as they are."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(content, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(content, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise NotOnnx(f"a field of kind {kind}")
        if number == 0 or at + size > len(content):
            raise NotOnnx("a field that goes beyond the end")
        yield number, content[at : at + size]
        at += size


def _varints(content: memoryview) -> Iterator[int]:
    at = 0
    while at < len(content):
        value, at = _varint(content, at)
        yield value


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(content) or shift > 63:
            raise NotOnnx("a number without an end")
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def _text(content: memoryview | bytes) -> str:
    return bytes(content).decode("utf-8", "replace")
