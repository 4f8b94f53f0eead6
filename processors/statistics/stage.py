"""The stage `statistics`: what each stream does lately, kept in a table of Faust, told once a second.

An approximation, and no part of the books.
"""

from typing import ClassVar

from pydantic import Field

from framefuse.errors import Stop
from framefuse.installing import install_extra
from framefuse.settings import StageSettings
from framefuse.types import Stage, StageRun
from schemas.topics import FUSED, STATISTICS_EVENTS, STATISTICS_ROWS


class StatisticsSettings(StageSettings):
    """Settings of the stage; environment `FRAMEFUSE_STATISTICS_…`."""

    section: ClassVar[str | None] = "statistics"

    quiet_after_s: float = Field(10.0, gt=0, description="A stream without a result for so long is quiet.")
    forget_after_h: float = Field(168.0, gt=0, description="One that is quiet for so long is forgotten.")


def work(settings: StatisticsSettings, run: StageRun) -> None:
    """Count until `run.stop` is set.

    Raises:
        Stop: Faust is not installed, or topics are missing.
    """
    try:
        import faust  # noqa: F401 - only whether it is there
    except ImportError:
        raise Stop(f"the stage statistics stands on faust-streaming: {install_extra('statistics')}") from None
    from processors.statistics.lives import work_until_stopped

    work_until_stopped(settings, run)


STAGE = Stage(
    "statistics",
    settings=StatisticsSettings,
    # Events are what one agent tells the other; rows, what the table is recovered from.
    sources=(FUSED, STATISTICS_EVENTS, STATISTICS_ROWS),
    main=work,
)
