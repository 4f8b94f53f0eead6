"""Which classes of a detector count: what the user said, as numbers of its model."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt

from framefuse.errors import BadInput

ClassIds = npt.NDArray[np.int32]
_FIRST = 10
"""Classes that a message lists."""
_DIGITS = 6
"""Of the longest number that can be a class."""


def class_ids(asked: str, model: str, names: Mapping[int, str] | None, count: int | None) -> ClassIds:
    """The numbers of the classes that were asked for.

    Args:
        asked: labels and numbers, with commas between; a label that is made of digits wins over a number.
        model: its name, for messages.
        names: of its classes by their numbers; None where it has none.
        count: how many classes its outputs have; None where they do not tell.

    Raises:
        BadInput: nothing was asked for, or what the model does not have.
    """
    words = [word.strip() for word in asked.split(",") if word.strip()]
    if not words:
        raise BadInput("classes is empty: say --classes with labels or numbers, or leave it out for all")
    found = {word: _numbers(word, names, count) for word in words}
    unknown = [word for word, numbers in found.items() if not numbers]
    if unknown:
        raise BadInput(f"{model} has no class {_unknown(unknown, names)}: {_known(names, count)}")
    return np.array(sorted({number for numbers in found.values() for number in numbers}), np.int32)


def _numbers(word: str, names: Mapping[int, str] | None, count: int | None) -> Sequence[int]:
    """Of the classes with this label, or with this number; several classes may have one label."""
    labelled = [number for number, label in (names or {}).items() if label.strip() == word]
    if labelled or not (word.isascii() and word.isdigit() and len(word) <= _DIGITS):
        return labelled
    number = int(word)
    anything = names is None and count is None
    return [number] if anything or number in (names or {}) or number < (count or 0) else []


def _unknown(words: Sequence[str], names: Mapping[int, str] | None) -> str:
    """Each with the label that it is nearest to, upper and lower case aside."""
    labels = {label.casefold(): label for label in (names or {}).values()}
    near = {word: get_close_matches(word.casefold(), labels, n=1) for word in words}
    return " and no ".join(
        f"{word!r} (did you mean {labels[near[word][0]]}?)" if near[word] else repr(word) for word in words
    )


def _known(names: Mapping[int, str] | None, count: int | None) -> str:
    if names is None:
        numbers = "numbers" if count is None else f"numbers from 0 to {count - 1}"
        return f"it does not tell the labels of its classes, so say --classes with {numbers}"
    first = ", ".join(f"{number} {label}" for number, label in sorted(names.items())[:_FIRST])
    rest = f" and {len(names) - _FIRST} more" if len(names) > _FIRST else ""
    return f"it has {first}{rest}; say --classes with labels or numbers of these"
