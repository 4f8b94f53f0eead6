"""Draw results on the pictures of their frames, and keep their depth as numbers: `draw.py door drawn/`."""

import sys
from pathlib import Path

import cv2
import numpy as np

from framefuse.client import ResultSubscriber, Start, depth_values, draw

stream, folder = sys.argv[1], Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
with ResultSubscriber(streams=stream, start=Start.BEGINNING) as results:
    while (fused := results.get(timeout_s=10)) is not None:
        if (image := results.picture(fused)) is not None:  # None once retention has removed the frame
            cv2.imwrite(str(folder / f"{fused.frame_id}.jpg"), draw(image, fused))
        if (depth := depth_values(fused)) is not None:  # float32, NaN where there is no value
            np.save(folder / f"{fused.frame_id}.npy", depth.values)
