"""Says which model runs and on what, in the log and as a metric; each result says it too."""

import logging

from framefuse import metrics
from schemas.records import Model

log = logging.getLogger("framefuse.model")


def announce(model: Model, reason: str, *, fell_back: bool = False) -> None:
    """Say it, and why it runs there; aloud if something better was there and did not work."""
    level = logging.WARNING if fell_back else logging.INFO
    log.log(level, "%s runs on %s: %s (sha256 %s)", model.name, model.provider, reason, model.sha256)
    metrics.MODEL.labels(model.name, model.sha256, model.provider).set(1)
