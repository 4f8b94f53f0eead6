"""Every metric of framefuse, by name. Prometheus keeps them; nothing here knows what they count.

Labels have few values: a stage, a worker, a reason. Never a stream, a frame or an address.
"""

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

_MILLISECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)

RECORDS = Counter("framefuse_records_total", "Input records that ended, by how.", ["stage", "status"])
DEAD_LETTERS = Counter(
    "framefuse_dead_letters_total", "Records sent to the dead letters.", ["stage", "error"]
)
LOST = Counter(
    "framefuse_lost_total", "Records that retention removed before this stage read them.", ["stage"]
)
SECONDS = Histogram(
    "framefuse_step_seconds", "Time of one step of a batch.", ["stage", "step"], buckets=_MILLISECONDS
)
BATCH_RECORDS = Histogram(
    "framefuse_batch_records",
    "Records in a batch.",
    ["stage"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096),
)
BATCH_LIMIT = Gauge("framefuse_batch_limit_records", "Records in a full batch.", ["stage"])
IN_FLIGHT = Gauge("framefuse_in_flight_records", "Records read and not yet committed.", ["stage", "worker"])
IN_FLIGHT_LIMIT = Gauge(
    "framefuse_in_flight_limit_records", "At most this many are read ahead.", ["stage", "worker"]
)
SHED_RUNG = Gauge(
    "framefuse_shed_rung",
    "The worker cannot keep up and computes one live frame in 2**this; 0: all.",
    ["stage", "worker"],
)
ASSIGNED = Gauge("framefuse_assigned_partitions", "Partitions this worker reads.", ["stage", "worker"])
LAG = Gauge(
    "framefuse_lag_records",
    "Records in its partitions that this worker has not committed.",
    ["stage", "worker"],
)
REJOINS = Counter(
    "framefuse_rejoins_total",
    "Times a worker dropped what was in flight and read again.",
    ["stage", "reason"],
)
UP = Gauge("framefuse_worker_up", "1 while the worker is a member of its group.", ["stage", "worker"])
WAITS_FOR_SINK = Gauge(
    "framefuse_worker_waits_for_sink",
    "1 while the worker has results that its sink does not take; /readyz says why.",
    ["stage", "worker"],
)

MODEL = Gauge(
    "framefuse_model_info",
    "1 for a model that runs here, and what it runs on.",
    ["model", "sha256", "provider"],
)
PICTURES = Counter(
    "framefuse_model_pictures_total",
    "Pictures that went through a model: frames, and what filled up a run of fixed size.",
    ["model", "kind"],
)

JOIN_PENDING = Gauge("framefuse_join_pending_halves", "Halves that wait for the other side.", ["worker"])
JOIN_PAUSED = Gauge(
    "framefuse_join_paused_partitions",
    "Partitions of which one side leads by its limit, and waits for the other.",
    ["worker"],
)
JOIN_EVENTS = Counter("framefuse_join_events_total", "Late halves, duplicates, time-outs.", ["event"])
JOIN_HALF_ASSIGNED = Gauge(
    "framefuse_join_half_assigned_partitions",
    "Partitions paused because only one side is assigned.",
    ["worker"],
)
OUTCOME_LATENCY = Histogram(
    "framefuse_outcome_latency_seconds",
    "From a frame's append to its outcome, of all streams together, as the stage 'statistics' reads them.",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300),
)
OUTCOMES = Counter("framefuse_outcomes_total", "Frames by their final outcome.", ["outcome"])

PUBLISHED = Counter("framefuse_published_total", "Frames that the broker acknowledged.")
REJECTED = Counter("framefuse_rejected_total", "Pictures that a publisher refused.", ["reason"])
DROPPED = Counter("framefuse_dropped_total", "Live frames dropped before sending.")
UNACKNOWLEDGED = Gauge(
    "framefuse_unacknowledged_records", "Handed to the Kafka client of a publisher, and not yet acknowledged."
)

STREAMS = Gauge(
    "framefuse_streams",
    "Streams that this process publishes at this moment, by how their sources are.",
    ["state"],
)
DECLARED = Gauge(
    "framefuse_declared_streams",
    "Declared streams that are this publisher's to publish: open, waiting to be opened again, or ended.",
    ["state"],
)
CAMERA_RESTARTS = Counter("framefuse_camera_restarts_total", "Runs of a stream after its first one here.")
DAMAGED_PACKETS = Counter(
    "framefuse_damaged_packets_total",
    "Packets of cameras that could not be decoded whole: their pictures are damaged, or left out.",
)


def begin_at_zero(stage: str, errors: Iterable[str]) -> None:
    """Show the counters of what must never pass unseen before they count anything.

    Prometheus sees no increase in a series that begins with its first event.
    """
    LOST.labels(stage)
    for error in errors:
        DEAD_LETTERS.labels(stage, error)
