"""The Python API of users: publish pictures into a stream, subscribe to results."""

from framefuse.publishing.outlet import Outlet, PublisherClosed
from framefuse.publishing.publisher import FramePublisher, NotPublished, Ticket
from framefuse.results.subscribing import ResultSubscriber, Start

__all__ = [
    "FramePublisher",
    "NotPublished",
    "Outlet",
    "PublisherClosed",
    "ResultSubscriber",
    "Start",
    "Ticket",
]
