"""The Python API of users: publish pictures into a stream."""

from framefuse.outlet import Outlet, PublisherClosed
from framefuse.publisher import FramePublisher, NotPublished, Ticket

__all__ = ["FramePublisher", "NotPublished", "Outlet", "PublisherClosed", "Ticket"]
