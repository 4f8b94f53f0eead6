"""What the doctor found, in short."""

from collections.abc import Sequence

from framefuse.doctor.findings import Finding


def lines(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Subject and status of each."""
    return [(one.subject, one.status.value) for one in findings]
