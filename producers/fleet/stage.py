"""The stage `camera`: one publisher of the declared streams; start as many as there is work for."""

import logging
from pathlib import Path
from typing import Literal

from pydantic import Field

from framefuse import metrics
from framefuse.errors import BrokerUnavailable, Retry
from framefuse.kafka import Admin, group_of
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.kafka.shared_table import SharedTable
from framefuse.publishing.sources import CameraOptions, SourceOptions
from framefuse.settings import StageSettings
from framefuse.streams.declaring import changes, read_config_file
from framefuse.streams.registry import StreamRegistry
from framefuse.types import Stage, StageRun
from producers.fleet.fleet import Fleet
from schemas.records import Stream
from schemas.topics import STREAMS

log = logging.getLogger("framefuse.camera")
_POLL_S = 0.2
_LONGEST_PAUSE_S = 5.0


class CameraSettings(StageSettings):
    """Settings of the stage `camera`; which streams there are is declared by `framefuse streams`."""

    section = "camera"

    secrets_dir: Path = Field(
        Path("/run/secrets"), description="References ${file:/…} are read below this folder only."
    )
    config: Path | None = Field(
        None,
        description="Declare the streams of this file at the start, as 'framefuse streams add --config'.",
    )
    quality: int = Field(90, ge=1, le=100, description="JPEG quality of what must be encoded.")
    max_side: int | None = Field(
        None, ge=16, description="Shrink larger pictures to this long side, in pixels."
    )
    rtsp_transport: Literal["tcp", "udp"] = Field("tcp", description="How pictures come from rtsp: cameras.")
    verify_tls: bool = Field(
        default=True, description="rtsps: and https: cameras must have a certificate that this host trusts."
    )
    public_only: bool = Field(
        default=False,
        description="Open rtsp, rtsps, http and https only, nothing of this host or of a private network, "
        "and follow no redirect: where strangers may declare streams.",
    )


def main(settings: CameraSettings, run: StageRun) -> None:
    """Publish our share of the declared streams until stopped.

    Raises:
        Stop: the broker refuses us, or there are no topics; a configuration that cannot be used.
    """
    partitions = Admin(run.kafka).partition_count(STREAMS.name(run.kafka.prefix))
    log.info("up to %d publishers share the declared streams", partitions)
    metrics.UP.labels("camera", run.name).set(0)
    if settings.config is not None:
        wanted = read_config_file(settings.config)
        _, made = StreamRegistry(run.kafka).change(lambda there: changes(there, wanted, prune=False))
        log.info("%s: %d streams added, %d changed", settings.config, len(made.added), len(made.changed))
    while not run.stop.is_set():
        try:
            _publish(settings, run)
        except (Retry, BrokerUnavailable) as error:
            metrics.REJOINS.labels("camera", type(error).__name__).inc()
            log.warning("%s lets go of its cameras and joins anew: %s", run.name, error)
            run.stop.wait(min(getattr(error, "retry_after_s", _LONGEST_PAUSE_S), _LONGEST_PAUSE_S))
        finally:
            run.ready.clear()
            metrics.UP.labels("camera", run.name).set(0)


def _publish(settings: CameraSettings, run: StageRun) -> None:
    """One membership in the group of publishers."""
    fleet = Fleet(
        run.kafka,
        SchemaTopic(run.kafka),
        options=lambda stream: _source_options(settings, stream),
        secrets_dir=settings.secrets_dir,
    )
    table: SharedTable | None = None
    try:
        table = SharedTable(
            run.kafka,
            group_of(run.kafka, "camera"),
            STREAMS.name(run.kafka.prefix),
            fleet,
            client_id=run.name,
        )
        while not run.stop.is_set():
            table.poll(_POLL_S)
            fleet.tick()
            if fleet.joined:
                run.ready.set()
                metrics.UP.labels("camera", run.name).set(1)
        fleet.stopping = True
    except BaseException:
        fleet.abandon()
        raise
    finally:
        if table is not None:
            table.close()
        fleet.close()


def _source_options(settings: CameraSettings, stream: Stream) -> SourceOptions:
    # What is live has no end: a film or a scene begins again.
    return SourceOptions(
        fps=stream.fps,
        loop=stream.live,
        quality=settings.quality,
        max_side_px=settings.max_side,
        camera=CameraOptions(
            settings.rtsp_transport, verify_tls=settings.verify_tls, public_only=settings.public_only
        ),
    )


STAGE = Stage("camera", sources=(STREAMS,), settings=CameraSettings, main=main)
