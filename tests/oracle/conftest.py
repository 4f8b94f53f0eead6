"""What every oracle looks at."""

from pathlib import Path

import pytest

from tests.oracle.boxes import draw_pictures


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pictures that all models are shown."""
    return draw_pictures(tmp_path_factory.mktemp("pictures"))
