"""A histogram of latencies in buckets that grow by 4 %: small, and quantiles with a known error. Pure.

Bucket b holds (G^(b-1), G^b] milliseconds with G = 1.02/0.98, so its middle is within 2 % of all it holds
(DDSketch, VLDB 2019, has the proof). Buckets of different times and partitions are added by adding counts.
"""

from collections.abc import Iterable, Mapping
from math import ceil, log

RELATIVE_ERROR = 0.02
LEAST_MS, MOST_MS = 0.1, 86_400_000.0
"""What is less or more counts as this: a clock that goes wrong costs no memory."""
_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)


def bucket_of(latency_ms: float) -> int:
    """The bucket that a latency belongs to."""
    return ceil(log(min(max(latency_ms, LEAST_MS), MOST_MS)) / log(_GROWTH))


def latency_of(bucket: int) -> float:
    """Milliseconds in the middle of a bucket: within `RELATIVE_ERROR` of all that it holds."""
    return float(2 * _GROWTH**bucket / (_GROWTH + 1))


def added(histograms: Iterable[Mapping[str, int]]) -> dict[int, int]:
    """Counts by bucket of several histograms together; their keys are bucket numbers as text."""
    total: dict[int, int] = {}
    for histogram in histograms:
        for bucket, count in histogram.items():
            total[int(bucket)] = total.get(int(bucket), 0) + count
    return total


def quantile(histogram: Mapping[int, int], share: float) -> float | None:
    """The latency in ms that this share (0 to 1) of all did not exceed, within 2 %; None of nothing."""
    rank, seen = ceil(share * sum(histogram.values())), 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= rank:
            return latency_of(bucket)
    return None
