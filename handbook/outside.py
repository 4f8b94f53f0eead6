"""Pages for what documents link to outside docs/: the site holds it all, so that no link leaves it.

A linked document becomes a page, a linked file of code a page with its text, a linked folder a list of its
files. Knows paths and Markdown only, nothing of MkDocs.
"""

import ast
import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

DOCS = "docs"
FOLDER = "repository"
"""Where those pages lie in the site."""
_LINK = re.compile(
    r"(?P<fence>^(?P<ticks>```+).*?^(?P=ticks)$)|(?<=\]\()(?P<path>[^)\s#:]+)(?=(?:#[^)\s]*)?\))",
    re.MULTILINE | re.DOTALL,
)
_LANGUAGES = {
    ".avsc": "json",
    ".java": "java",
    ".json": "json",
    ".py": "python",
    ".toml": "toml",
    ".xml": "xml",
    ".yaml": "yaml",
    ".yml": "yaml",
}
_PICTURES = (".jpg", ".png", ".svg")
_NOT_SEARCHED = "---\ntitle: {title}\nhide: [navigation, toc]\nsearch:\n  exclude: true\n---\n\n"


def pages_for(root: Path, documents: Iterable[str]) -> dict[str, str | Path]:
    """The pages for everything outside docs/ that documents lead to, and what leads on from there.

    Args:
        root: the repository.
        documents: paths of documents in it, e.g. `docs/architecture.md`.

    Returns:
        Address in the site (`repository/framefuse/worker.py.md`) → Markdown, or the file of a picture.
    """
    pages: dict[str, str | Path] = {}
    waiting = [target for document in documents for target in _targets(root, document)]
    while waiting:
        target = waiting.pop()
        address = address_of(root, target)
        if address in pages or _in_docs(root, target) or not (root / target).exists():
            continue
        if (root / target).is_dir():
            waiting += [posixpath.join(target, one.name) for one in _files_of(root / target)]
        target = _document(root, target)
        pages[address] = _page(root, target)
        waiting += _targets(root, target)
    return pages


def with_links(root: Path, address: str, markdown: str) -> str:
    """The text of a page of the site, with its links into the repository as links to pages.

    Args:
        root: the repository.
        address: of the page in the site, e.g. `architecture.md`.
        markdown: its text; a link that leads nowhere stays as it is, for MkDocs to complain about.
    """
    document = path_of(address)

    def rewritten(found: re.Match[str]) -> str:
        if found["fence"]:
            return found[0]
        target = _resolved(document, found["path"])
        if not (root / target).exists():
            return found[0]
        return posixpath.relpath(address_of(root, target), posixpath.dirname(address) or ".")

    return _LINK.sub(rewritten, markdown)


def address_of(root: Path, path: str) -> str:
    """Where a file or folder of the repository is in the site."""
    path = _document(root, path)
    if _in_docs(root, path):
        return posixpath.relpath(path, DOCS)
    if (root / path).is_dir():
        return posixpath.join(FOLDER, path, "README.md")
    return posixpath.join(FOLDER, path if path.endswith((".md", *_PICTURES)) else f"{path}.md")


def path_of(address: str) -> str:
    """Where the document of a page is in the repository; for documents `address_of` the other way round."""
    inside = posixpath.join(FOLDER, "")
    return address.removeprefix(inside) if address.startswith(inside) else posixpath.join(DOCS, address)


def _in_docs(root: Path, path: str) -> bool:
    """Folders are not: a list of their files is a page of ours, in docs/ too."""
    return path.startswith(f"{DOCS}/") and (root / path).is_file()


def _document(root: Path, path: str) -> str:
    """A folder that says itself what it is, by that."""
    readme = posixpath.join(path, "README.md")
    return readme if (root / readme).is_file() else path


def _targets(root: Path, document: str) -> Iterator[str]:
    """What a document links to, as paths in the repository."""
    if not document.endswith(".md"):
        return
    for found in _LINK.finditer((root / document).read_text("utf-8")):
        if not found["fence"]:
            yield _resolved(document, found["path"])


def _resolved(document: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(document), link))


def _page(root: Path, path: str) -> str | Path:
    if path.endswith(_PICTURES):
        return root / path
    if (root / path).is_dir():
        lines = [f"- [`{one.name}`]({one.name}) {_first_line(one)}" for one in _files_of(root / path)]
        return f"{_NOT_SEARCHED.format(title=path)}# {path}/\n\n" + "\n".join(lines) + "\n"
    text = (root / path).read_text("utf-8")
    if path.endswith(".md"):
        return text
    ticks = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 0)
    language = _LANGUAGES.get(Path(path).suffix, "text")
    head = f"{_NOT_SEARCHED.format(title=path)}# {path}\n\n"
    return f'{head}{ticks} {{ .{language} linenums="1" }}\n{text}\n{ticks}\n'


def _files_of(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.suffix in (*_LANGUAGES, ".md") and one.is_file())


def _first_line(file: Path) -> str:
    """What a module says first that it is for."""
    if file.suffix != ".py":
        return ""
    text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return text.partition("\n")[0]
