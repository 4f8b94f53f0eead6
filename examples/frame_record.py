"""A record of `frames`, with nothing of framefuse but its schema: `frame_record.py gate photo.jpg`.

Writes its bytes to stdout, for a program that only sends bytes, such as kcat. Each call is a run of its own.
"""

import hashlib
import io
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import cv2
import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form


def uuid7() -> str:
    """It begins with the time, so that runs sort by when they began."""
    made = int(time.time() * 1000) << 80 | int.from_bytes(os.urandom(10))
    return str(UUID(int=made & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62))


stream, path = sys.argv[1], Path(sys.argv[2])
schema = json.loads(Path("schemas/frame.avsc").read_text())
image = path.read_bytes()
picture = cv2.imread(str(path))
if picture is None:
    sys.exit(f"{path} is no picture")
height, width = picture.shape[:2]
frame = {
    "frame_id": uuid7(),
    "stream_id": stream,
    "run_id": uuid7(),
    "sequence": 0,
    "captured_at": datetime.now(UTC),
    "attempt": 0,
    "live": False,
    "width": width,
    "height": height,
    "encoding": "JPEG" if image[:2] == b"\xff\xd8" else "PNG",
    "image": image,
    "sha256": hashlib.sha256(image).hexdigest(),
}
out = io.BytesIO()
fastavro.schemaless_writer(out, fastavro.parse_schema(schema), frame)
name = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
sys.stdout.buffer.write(b"\xc3\x01" + bytes.fromhex(name) + out.getvalue())
