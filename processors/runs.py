"""Which pictures of a batch go through a model together. Pure."""

from collections.abc import Hashable, Iterator, Sequence


def runs_of_one_size(sizes: Sequence[Hashable], most: int) -> Iterator[Sequence[int]]:
    """Places in the batch, each once, of pictures that one run can take.

    Args:
        sizes: of the picture at each place; a run is of one size, wherever its pictures stand.
        most: pictures in a run.
    """
    places: dict[Hashable, list[int]] = {}
    for place, size in enumerate(sizes):
        places.setdefault(size, []).append(place)
    for alike in places.values():
        yield from (alike[start : start + most] for start in range(0, len(alike), most))
