"""`framefuse publish` and its options.

What happens is in `framefuse.publishing.publication`, what is shown in `publish_view`.
"""

from enum import StrEnum
from typing import Annotated, Literal

import typer

from framefuse.cli.options import AsJson, Bootstrap, Prefix


class PartitionBy(StrEnum):
    """What keeps together."""

    STREAM = "stream"
    FRAME = "frame"


_INPUT, _PACE, _KAFKA = "Input", "Pace and limits", "Kafka"

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH|URL",
        help="Video files, images, folders, quoted globs; cameras as rtsp://…, http://… or camera:0; "
        "drawn scenes as synthetic:?seed=7&fps=10.",
        show_default=False,
    ),
]
StreamIds = Annotated[
    list[str] | None,
    typer.Option(
        "--stream",
        help="Stream id; once for each source. The name of the file or folder by default.",
        rich_help_panel=_INPUT,
    ),
]
Recursive = Annotated[
    bool, typer.Option("--recursive", "-r", help="Look into the folders of a folder.", rich_help_panel=_INPUT)
]
Fps = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        help="Frames a second of the source's own time: videos are thinned evenly, scenes drawn, "
        "paced images shown (10 by default) at this rate.",
        rich_help_panel=_INPUT,
    ),
]
Loop = Annotated[
    bool,
    typer.Option("--loop", help="Start again at the end, until --limit.", rich_help_panel=_INPUT),
]
Limit = Annotated[
    int | None, typer.Option(min=1, help="Frames of each stream at most.", rich_help_panel=_INPUT)
]
Quality = Annotated[
    int,
    typer.Option(
        min=1,
        max=100,
        help="JPEG quality of what must be encoded; JPEG, PNG and WEBP stay as they are.",
        rich_help_panel=_INPUT,
    ),
]
MaxSide = Annotated[
    int | None,
    typer.Option(min=16, help="Shrink larger pictures to this long side, in pixels.", rich_help_panel=_INPUT),
]
Realtime = Annotated[
    bool,
    typer.Option(
        "--realtime",
        help="At the source's own pace, not as fast as the workers.",
        rich_help_panel=_PACE,
    ),
]
Live = Annotated[
    bool,
    typer.Option(
        "--live",
        help="As a camera: at the source's own pace, never waiting, stale frames expire.",
        rich_help_panel=_PACE,
    ),
]
Freshness = Annotated[
    int | None,
    typer.Option(
        "--freshness",
        min=1,
        metavar="MS",
        help="A live frame older than this expires; 500 by default.",
        rich_help_panel=_PACE,
    ),
]
RtspTransport = Annotated[
    Literal["tcp", "udp"],
    typer.Option(help="How pictures come from rtsp: cameras.", rich_help_panel=_INPUT),
]
VerifyTls = Annotated[
    bool,
    typer.Option(
        "--verify-tls/--no-verify-tls",
        help="Whether rtsps: and https: cameras must have a certificate that this host trusts; "
        "SSL_CERT_FILE names authorities of your own.",
        rich_help_panel=_INPUT,
    ),
]
PublicOnly = Annotated[
    bool,
    typer.Option(
        "--public-only",
        help="Open rtsp, rtsps, http and https only, and nothing of this host or of a private network; "
        "follow no redirect: for addresses that strangers gave.",
        rich_help_panel=_INPUT,
    ),
]
InFlight = Annotated[
    int,
    typer.Option(
        min=0,
        help="Frames that may wait for the workers on a partition at most; 0 lifts the limit.",
        rich_help_panel=_PACE,
    ),
]
Wait = Annotated[
    bool, typer.Option("--wait", help="Wait until every frame has an outcome.", rich_help_panel=_PACE)
]
Partition = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        help="Partition of the streams, or the emptiest; by stream id unless given.",
        rich_help_panel=_KAFKA,
    ),
]
By = Annotated[
    PartitionBy,
    typer.Option(
        "--partition-by",
        help="'frame' spreads each stream over all partitions and workers; readers restore its order.",
        rich_help_panel=_KAFKA,
    ),
]
MetricsHost = Annotated[
    str, typer.Option(help="Where /metrics listens, with --metrics-port.", rich_help_panel=_KAFKA)
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        help="Serve /metrics, /healthz and /readyz on this port while it publishes; nowhere by default.",
        rich_help_panel=_KAFKA,
    ),
]


def publish(
    sources: Sources,
    *,
    stream: StreamIds = None,
    recursive: Recursive = False,
    fps: Fps = None,
    loop: Loop = False,
    limit: Limit = None,
    quality: Quality = 90,
    max_side: MaxSide = None,
    rtsp_transport: RtspTransport = "tcp",
    verify_tls: VerifyTls = True,
    public_only: PublicOnly = False,
    realtime: Realtime = False,
    live: Live = False,
    freshness: Freshness = None,
    in_flight: InFlight = 64,
    wait: Wait = False,
    partition: Partition = None,
    partition_by: By = PartitionBy.STREAM,
    metrics_host: MetricsHost = "127.0.0.1",
    metrics_port: MetricsPort = None,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Publish pictures as frames: each video, folder or scene a stream, all at the same time.

    Files are published as fast as the workers keep up, so that live streams never starve behind them.

    captured_at of a frame is, for a video, the creation time in its container, else the date of its file,
    plus the frame's time in the film; for an image the date of its file; with --live and --realtime, and for
    cameras, this host's clock.

    [cyan]framefuse publish video.mp4 --wait[/cyan]

    [cyan]framefuse publish gate.mp4 yard.mp4 --fps 5 --stream gate --stream yard[/cyan]

    [cyan]framefuse publish photos/ 'scans/*.png' --max-side 1920[/cyan]

    [cyan]framefuse publish 'synthetic:?seed=7&seconds=30' --live[/cyan]

    [cyan]framefuse publish 'rtsp://viewer:${CAM_PASSWORD}@10.0.0.11/stream1' --fps 10[/cyan]

    Exit status: 0 all published · 1 something was rejected, damaged or not acknowledged, or with --wait is a
    dead letter or lost · 2 cannot begin · 130 Ctrl-C.
    """
    from framefuse.cli.publish_view import follow
    from framefuse.cli.title import warn_of_literals
    from framefuse.publishing.publication import PublishOptions, named
    from framefuse.publishing.sources import CameraOptions, SourceOptions, open_sources
    from framefuse.settings import KafkaSettings, load

    warn_of_literals(sources)
    reading = SourceOptions(
        fps=fps,
        loop=loop,
        quality=quality,
        max_side_px=max_side,
        recursive=recursive,
        camera=CameraOptions(rtsp_transport, verify_tls=verify_tls, public_only=public_only),
    )
    options = PublishOptions(
        live=live,
        realtime=realtime,
        freshness_ms=freshness,
        limit=limit,
        partition=_partition(partition),
        partition_by=partition_by.value,
        in_flight=in_flight,
    )
    streams = named(open_sources(sources, reading), stream or [])
    kafka = load(KafkaSettings, bootstrap=bootstrap, prefix=prefix)
    metrics = None if metrics_port is None else (metrics_host, metrics_port)
    code = follow(kafka, streams, options, wait=wait, as_json=as_json, metrics=metrics)
    if code:
        raise typer.Exit(code)


def _partition(text: str | None) -> int | Literal["auto"] | None:
    if text is None:
        return None
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise typer.BadParameter(f"'{text}', expected a number or 'auto'", param_hint="--partition")
    return int(text)
