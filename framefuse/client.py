"""The Python API of users: publish pictures into a stream."""

from framefuse.publishing.outlet import Outlet, PublisherClosed
from framefuse.publishing.publisher import FramePublisher, NotPublished, Ticket

__all__ = ["FramePublisher", "NotPublished", "Outlet", "PublisherClosed", "Ticket"]
