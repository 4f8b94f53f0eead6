"""A stage of one's own: reads `fused` and appends a line for every object that came too near.

Settings, processor, sink, `STAGE`; the entry points stand in `pyproject.toml` beside it. At least once: a
line may come twice after a crash, with the same frame id.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from framefuse.settings import StageSettings
from framefuse.types import BatchPolicy, Output, Partition, Positions, Prepared, Record, SinkContext, Stage
from schemas.records import DepthKind, Derived, Fused, Status
from schemas.topics import FUSED

Line = dict[str, str | float]


class NearAlertSettings(StageSettings):
    """Read from flags, FRAMEFUSE_NEAR_ALERTS_… and `framefuse.yaml`."""

    section: ClassVar[str | None] = "near-alerts"
    nearer_than_m: float = Field(5.0, gt=0, description="Objects nearer than this are told, in metres.")
    path: Path = Field(Path("alerts.jsonl"), description="The file that lines are appended to.")


class NearObjects:
    """The lines of a frame; keeps nothing between frames."""

    def __init__(self, settings: NearAlertSettings) -> None:
        self._nearer_than_m = settings.nearer_than_m

    def prepare(self, record: Record[Fused]) -> Fused:
        """Nothing to decode."""
        return record.value

    def process(self, batch: Sequence[Prepared[Fused, Fused]]) -> Sequence[list[Line]]:
        """The lines of each frame, in order."""
        return [self._lines(prepared.input) for prepared in batch]

    def refused(self, origin: Derived, status: Status, reason: str) -> None:
        """Nothing to say of a record that cannot be read; the runtime puts it into the dead letters."""

    def close(self) -> None:
        """Holds nothing."""

    def _lines(self, fused: Fused) -> list[Line]:
        if fused.map is None or fused.map.kind is not DepthKind.METRIC:
            return []
        return [
            {
                "stream_id": fused.stream_id,
                "frame_id": fused.frame_id,
                "label": found.label,
                "distance_m": round(found.depth.median, 2),
            }
            for found in fused.objects
            if found.depth and found.depth.median < self._nearer_than_m
        ]


class LinesFile:
    """Appends lines durably, then commits."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def write(
        self, batch: Sequence[Output[list[Line]]], positions: Positions
    ) -> Mapping[Partition, int] | None:
        """Append the lines of a batch and commit its positions.

        Raises:
            Retry: the commit did not go through; the batch comes again.
        """
        for output in batch:
            self._file.writelines(f"{json.dumps(line)}\n" for line in output.value or ())
        self._file.flush()
        os.fsync(self._file.fileno())
        positions.commit()
        return None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_file(settings: NearAlertSettings, context: SinkContext) -> LinesFile:
    """The sink `near-alerts`."""
    del context
    return LinesFile(settings.path)


STAGE = Stage(
    "near-alerts",
    settings=NearAlertSettings,
    sources=(FUSED,),
    to="near-alerts",
    build=NearObjects,
    batch=lambda settings: BatchPolicy(max_records=64),
)
