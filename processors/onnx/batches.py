"""How many pictures go into one run: few static sizes, so that nothing on a GPU is planned anew. Pure.

Every new shape costs a GPU a plan (cuDNN's search, an engine of TensorRT), seconds to minutes. So a batch is
filled up to the next of a few sizes, which have all been run before the first frame comes.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def buckets_up_to(most: int) -> tuple[int, ...]:
    """1, 2, 4, 8, … and `most` itself, so that less than half of a run is filling."""
    sizes = [1]
    while sizes[-1] * 2 < most:
        sizes.append(sizes[-1] * 2)
    return tuple(dict.fromkeys([*sizes, most]))


def bucket_for(count: int, buckets: Sequence[int]) -> int:
    """The smallest bucket that holds `count`; `count` itself where none does."""
    return min((size for size in buckets if size >= count), default=count)


def filled(pictures: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """`count` pictures, N×3×h×w; the missing ones are zeros."""
    missing = count - len(pictures)
    if missing <= 0:
        return pictures
    return np.concatenate([pictures, np.zeros((missing, *pictures.shape[1:]), np.float32)])
