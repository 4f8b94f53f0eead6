"""What was seen, and how far away; ends when nothing came for ten seconds: `subscribe.py door`."""

import sys

from framefuse.client import ResultSubscriber, Start

with ResultSubscriber(streams=sys.argv[1:], start=Start.BEGINNING, in_order=True) as results:
    while (fused := results.get(timeout_s=10)) is not None:
        unit = fused.map.unit if fused.map else ""
        seen = [f"{one.label} {one.depth.median:.1f} {unit}" for one in fused.objects if one.depth]
        print(f"{fused.stream_id} #{fused.sequence} {fused.outcome.lower()}: {', '.join(seen) or 'nothing'}")
