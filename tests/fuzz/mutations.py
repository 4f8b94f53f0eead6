"""Broken bytes for every decoder: valid ones with some bytes changed, cut or put in, and plain noise.

`FRAMEFUSE_FUZZ_EXAMPLES` says how many of each; few by default, so that they run with all tests.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("FRAMEFUSE_FUZZ_EXAMPLES", "60"))
_TELLING = (
    b"\x00",
    b"\xff",
    b"\x80",
    b"\x7f",
    b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff" * 9 + b"\x01",
)
"""Bytes that are often at a border, among them Avro's longest numbers of either sign."""


def fuzz(test: Callable[..., Any]) -> Callable[..., Any]:
    """How long to look: every example for itself, never two seconds for one."""
    profile = settings(
        max_examples=EXAMPLES,
        deadline=2000,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    return profile(test)


def broken(*seeds: bytes, spared: int = 0) -> st.SearchStrategy[bytes]:
    """Each of these changed in a few places after its first `spared` bytes, or noise."""
    changed = st.sampled_from(seeds).flatmap(lambda seed: _changed(seed, spared))
    return st.one_of(changed, st.binary(max_size=400)) if not spared else changed


@st.composite
def _changed(draw: st.DrawFn, seed: bytes, spared: int) -> bytes:
    found = bytearray(seed)
    places = st.integers(min(spared, len(seed)), len(seed))
    for _ in range(draw(st.integers(1, 4))):
        at = min(draw(places), len(found))
        fresh = draw(st.one_of(st.sampled_from(_TELLING), st.binary(min_size=1, max_size=4)))
        match draw(st.sampled_from(["over", "in", "cut", "out"])):
            case "over":
                found[at : at + len(fresh)] = fresh
            case "in":
                found[at:at] = fresh
            case "cut":
                del found[at:]
            case _:
                del found[at : at + draw(st.integers(1, 40))]
    return bytes(found)


def texts(*seeds: str) -> st.SearchStrategy[str]:
    """Any text, and these with a piece of any text put in."""
    return st.one_of(
        st.text(max_size=200),
        st.builds(
            lambda seed, at, piece: seed[: at % (len(seed) + 1)] + piece + seed[at % (len(seed) + 1) :],
            st.sampled_from(seeds),
            st.integers(0, 10_000),
            st.text(max_size=20),
        ),
    )


__all__: Sequence[str] = ["EXAMPLES", "broken", "fuzz", "texts"]
