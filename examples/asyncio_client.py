"""Publish pictures and print what is seen in them, both in asyncio: `asyncio_client.py door photo.jpg`."""

import asyncio
import sys

from framefuse.client import AsyncFramePublisher, AsyncResultSubscriber, UnreadableImage


async def publish(stream: str, paths: list[str]) -> None:
    """Send every picture that is one, and await its place in the log."""
    async with AsyncFramePublisher(stream) as publisher:
        for path in paths:
            try:
                ticket = await publisher.publish(path)  # waits while the workers are too far behind
            except UnreadableImage as error:
                print(f"{path}: {error}", file=sys.stderr)
                continue
            place = await ticket
            print(f"published {path} as {place.topic}-{place.partition}@{place.offset}")


async def main(stream: str, *paths: str) -> None:
    """Subscribe first, so that no result is missed; end when none came for five seconds."""
    async with AsyncResultSubscriber(streams=stream) as results:
        publishing = asyncio.create_task(publish(stream, list(paths)))
        while (fused := await results.get(timeout_s=5)) is not None:
            seen = ", ".join(one.label for one in fused.objects)
            print(f"{stream} #{fused.sequence} {fused.outcome.lower()}: {seen or 'nothing'}")
        await publishing


asyncio.run(main(*sys.argv[1:]))
