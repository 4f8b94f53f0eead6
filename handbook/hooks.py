"""What MkDocs calls while it builds the site: fills in navigation, reference, linked files and links."""

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from handbook import made, outside

ROOT = Path(__file__).parents[1]


def on_config(config: MkDocsConfig) -> None:
    """Name the pages that the navigation gives as `FOLDER/*`."""
    docs = Path(config.docs_dir)
    named = set(_leaves(config.nav))
    config.nav = _expanded(config.nav, docs, named)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of what is linked outside docs/."""
    documents = [outside.path_of(file.src_uri) for file in files.documentation_pages()]
    for address, page in outside.pages_for(ROOT, documents).items():
        files.append(
            File.generated(config, address, content=page)
            if isinstance(page, str)
            else File.generated(config, address, abs_src_path=str(page))
        )
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in what is made from the code, and lead links into the repository to its pages."""
    del config, files
    return made.filled(outside.with_links(ROOT, page.file.src_uri, markdown))


def _leaves(nav: Any) -> list[str]:  # noqa: ANN401 - as YAML has it: lists, mappings of one entry, strings
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [leaf for part in parts for leaf in _leaves(part)]


def _expanded(nav: Any, docs: Path, named: set[str]) -> Any:  # noqa: ANN401 - as above
    if isinstance(nav, dict):
        return {title: _expanded(part, docs, named) for title, part in nav.items()}
    if isinstance(nav, str):
        return nav
    listed: list[Any] = []
    for part in nav:
        if isinstance(part, str) and part.endswith("*"):
            pages = (page.relative_to(docs).as_posix() for page in sorted(docs.glob(f"{part}.md")))
            listed += [page for page in pages if page not in named]
        else:
            listed.append(_expanded(part, docs, named))
    return listed
