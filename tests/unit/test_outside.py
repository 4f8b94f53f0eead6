"""What documents link to outside docs/ becomes pages of the site, so that no link of it leads nowhere."""

from pathlib import Path

import pytest

from handbook.outside import address_of, pages_for, with_links
from tests.parts.documents import ROOT


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for path, text in {
        "README.md": "[how](docs/how.md), [why](k8s)",
        "docs/how.md": "[code](../pkg/code.py#L3), [all](../pkg/), [b](https://a.b), [k](../k8s/README.md)",
        "docs/other.md": "[start](../README.md)\n\n```sh\necho [no](../link.py)\n```\n",
        "pkg/code.py": '"""What it is for.\n\nMore."""\n\nFENCE = "```"\n',
        "pkg/more.yaml": "a: 1\n",
        "k8s/README.md": "[file](deploy.yaml)",
        "k8s/deploy.yaml": "kind: Deployment\n",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text, "utf-8")
    return tmp_path


def test_linked_files_folders_and_what_they_link_to_become_pages(repository: Path) -> None:
    pages = pages_for(repository, ["docs/how.md", "docs/other.md"])
    assert set(pages) == {
        "repository/README.md",
        "repository/k8s/README.md",
        "repository/k8s/deploy.yaml.md",
        "repository/pkg/README.md",
        "repository/pkg/code.py.md",
        "repository/pkg/more.yaml.md",
    }
    assert "[`code.py`](code.py) What it is for." in str(pages["repository/pkg/README.md"])


def test_a_file_with_fences_in_it_stays_within_its_own(repository: Path) -> None:
    page = str(pages_for(repository, ["docs/how.md"])["repository/pkg/code.py.md"])
    assert page.rstrip().endswith("\n````")


def test_links_lead_from_page_to_page_and_those_in_code_stay(repository: Path) -> None:
    told = with_links(repository, "how.md", (repository / "docs/how.md").read_text("utf-8"))
    assert told == (
        "[code](repository/pkg/code.py.md#L3), [all](repository/pkg/README.md), [b](https://a.b),"
        " [k](repository/k8s/README.md)"
    )
    assert with_links(repository, "repository/README.md", "[how](docs/how.md)") == "[how](../how.md)"
    assert with_links(repository, "repository/README.md", "[why](k8s)") == "[why](k8s/README.md)"
    other = with_links(repository, "other.md", (repository / "docs/other.md").read_text("utf-8"))
    assert "echo [no](../link.py)" in other


def test_a_link_that_leads_nowhere_stays_for_the_builder_to_refuse(repository: Path) -> None:
    assert with_links(repository, "how.md", "[gone](../gone.py)") == "[gone](../gone.py)"


def test_every_link_of_our_documents_has_its_page() -> None:
    pages = pages_for(ROOT, ["docs/README.md", "docs/architecture.md"])
    assert address_of(ROOT, "framefuse/runtime/worker.py") in pages
    assert address_of(ROOT, "CONTRIBUTING.md") in pages
    assert address_of(ROOT, "docs/architecture.md") == "architecture.md"
