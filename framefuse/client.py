"""The Python API of users: publish pictures into a stream, subscribe to results, look at them.

with ResultSubscriber(streams="gate") as results:
for fused in results:
print(fused.sequence, [(found.label, found.depth) for found in fused.objects])
"""

from framefuse.aio import AsyncFramePublisher, AsyncResultSubscriber
from framefuse.errors import (
    AccessDenied,
    BadInput,
    BrokerUnavailable,
    FramefuseError,
    Retry,
    Stop,
    UnreadableImage,
)
from framefuse.pictures.overlay import draw, side_by_side
from framefuse.publishing.outlet import Outlet, PublisherClosed
from framefuse.publishing.publisher import FramePublisher
from framefuse.publishing.tickets import NotPublished, Ticket
from framefuse.results.subscribing import ResultSubscriber, Start
from framefuse.results.views import (
    DepthValues,
    ObjectArrays,
    depth_values,
    object_arrays,
    to_arrow,
    to_pandas,
    to_supervision,
)

__all__ = [
    "AccessDenied",
    "AsyncFramePublisher",
    "AsyncResultSubscriber",
    "BadInput",
    "BrokerUnavailable",
    "DepthValues",
    "FramePublisher",
    "FramefuseError",
    "NotPublished",
    "ObjectArrays",
    "Outlet",
    "PublisherClosed",
    "ResultSubscriber",
    "Retry",
    "Start",
    "Stop",
    "Ticket",
    "UnreadableImage",
    "depth_values",
    "draw",
    "object_arrays",
    "side_by_side",
    "to_arrow",
    "to_pandas",
    "to_supervision",
]
