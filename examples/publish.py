"""Publish pictures into a stream: `publish.py door photo.jpg photos/*`."""

import sys

from framefuse.client import FramePublisher

stream, *paths = sys.argv[1:]
with FramePublisher(stream) as publisher:
    for path in paths:
        ticket = publisher.publish(path)  # waits while the workers are too far behind
        print(f"{path} is #{ticket.sequence} of {stream}, frame {ticket.frame_id}")
