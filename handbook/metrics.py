"""The reference of metrics: name, type, labels and meaning of each, from where they are declared."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.metrics import MetricWrapperBase

from framefuse import metrics
from handbook.tables import code, named, plain, table


@dataclass(frozen=True, slots=True)
class Told:
    """One metric as Prometheus shows it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


def all_metrics() -> Iterator[Told]:
    """Every metric, in the order of `framefuse/metrics.py`."""
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            yield Told(name, family.type, tuple(metric._labelnames), family.documentation)


def page() -> str:
    """The Markdown of all metrics."""
    rows = (
        (code(one.name), one.kind, ", ".join(code(label) for label in one.labels), plain(one.meaning))
        for one in all_metrics()
    )
    return named(table(("metric", "type", "labels", "meaning"), rows))
