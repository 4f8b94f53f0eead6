"""What a file is that was taken for an ONNX model, by its first bytes; it is never opened as that."""

from pathlib import Path

_HEAD_BYTES = 512
_BEGINNINGS = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself: run 'git lfs pull'"),
    (b"PK\x03\x04", "a zip archive, as torch saves its pickles: export the model to ONNX"),
    (b"\x80\x02", "a pickle: export the model to ONNX"),
    (b"\x80\x03", "a pickle: export the model to ONNX"),
    (b"\x80\x04", "a pickle: export the model to ONNX"),
    (b"\x80\x05", "a pickle: export the model to ONNX"),
    (b"\x89HDF", "an HDF5 file, as Keras saves it: export the model to ONNX"),
    (b"ptrt", "an engine of TensorRT: give the ONNX file, with --provider tensorrt"),
    (b"<?xml", "a model of OpenVINO, or another XML file: export the model to ONNX"),
    (b"\x1f\x8b", "compressed with gzip: unpack it"),
)


def mistaken_for(path: Path) -> str | None:
    """What this file is instead, and what to do; None where that cannot be told.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return "empty"
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head[4:8] == b"TFL3":
        return "a model of TensorFlow Lite: export it to ONNX"
    if head[8:9] == b"{" and head[7:8] == b"\x00":
        return "a file of safetensors: give the folder it lies in, with its config.json"
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a page of the web: give the address of the file itself"
    return None
