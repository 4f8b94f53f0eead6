"""Documents lead somewhere, and hide no command from the test that runs them."""

import re

import pytest

from tests.parts.documents import DOCUMENTS, ROOT, blocks

_LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
_FENCE = re.compile(r"^```(\S+)$", re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_into_the_project_leads_somewhere(document: str) -> None:
    path = ROOT / document
    links = [link for link in _LINK.findall(path.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_fence_with_code_is_one_that_is_run(document: str) -> None:
    kinds = _FENCE.findall((ROOT / document).read_text(encoding="utf-8"))
    assert len([kind for kind in kinds if kind in ("sh", "python")]) == len(blocks(document))
    assert set(kinds) <= {"sh", "python", "sql", "toml", "yaml"}
