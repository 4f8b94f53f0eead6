"""The judge of the fault suite accuses each fault, and only where it is."""

import pytest

from tests.faults.verdict import Place, Row, Verdict, judge


def a_row(offset: int, ended: str = "FUSED", *, live: bool = False, frame_id: str = "") -> Row:
    return Row((0, offset), frame_id or f"frame-{offset}", ended, float(offset), live)


def judged(*rows: Row, acknowledged: dict[Place, str] | None = None, count: int = 4) -> Verdict:
    places = {(0, offset): f"frame-{offset}" for offset in range(count)}
    return judge("a case", places if acknowledged is None else acknowledged, rows)


def faults(verdict: Verdict) -> dict[str, list[int]]:
    found = {name: getattr(verdict, name) for name in ("missing", "duplicates", "out_of_order", "unexpected")}
    return {name: [offset for _, offset in places] for name, places in found.items() if places}


def test_one_outcome_a_frame_in_order_is_no_fault() -> None:
    verdict = judged(*map(a_row, range(4)))
    verdict.assert_kept()
    assert verdict.silence_s == 1.0


def test_each_fault_is_named_by_its_place() -> None:
    rows = [a_row(0), a_row(2), a_row(1), a_row(1)]
    verdict = judged(*rows)
    assert faults(verdict) == {"missing": [3], "duplicates": [1], "out_of_order": [1]}
    with pytest.raises(AssertionError, match="missing"):
        verdict.assert_kept()


def test_a_frame_that_has_the_outcome_of_another_is_missing() -> None:
    assert faults(judged(*map(a_row, range(3)), a_row(3, frame_id="another"))) == {"missing": [3]}


@pytest.mark.parametrize("ended", ["PARTIAL", "EXPIRED", "DEAD_LETTER", "LOST", "FAILED"])
def test_a_good_frame_of_a_file_ends_whole(ended: str) -> None:
    assert faults(judged(a_row(0, ended), *map(a_row, range(1, 4)))) == {"unexpected": [0]}


@pytest.mark.parametrize(
    ("ended", "accused"), [("PARTIAL", []), ("EXPIRED", []), ("DEAD_LETTER", [0]), ("LOST", [0])]
)
def test_a_good_live_frame_may_be_late_and_never_fails(ended: str, accused: list[int]) -> None:
    verdict = judged(a_row(0, ended, live=True), *map(a_row, range(1, 4)))
    assert faults(verdict).get("unexpected", []) == accused


def test_a_bad_value_may_end_anyhow_but_ends_once() -> None:
    acknowledged = {(0, 0): "", (0, 1): "frame-1"}
    assert faults(judged(a_row(0, "DEAD_LETTER"), a_row(1), acknowledged=acknowledged)) == {}
    assert faults(judged(a_row(1), acknowledged=acknowledged)) == {"missing": [0]}


def test_what_stands_beside_is_judged_as_well() -> None:
    side = judged(*map(a_row, range(3)))
    verdict = judge("a case", {}, [], {"depth": side})
    with pytest.raises(AssertionError, match="depth: missing"):
        verdict.assert_kept()
