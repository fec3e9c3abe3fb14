"""What Office's packages have in common: title and date of the document, charts."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.knowledge.dates import stated
from headrace.knowledge.formats.package import Package
from headrace.knowledge.formats.table import table
from headrace.knowledge.formats.xml import Element, child, local, words

_CORE = "docProps/core.xml"


def core(package: Package) -> tuple[str, int | None]:
    """The title, and when it was changed last or else made."""
    if not package.has(_CORE):
        return "", None
    said = {local(e): words(e) for e in package.xml(_CORE)}
    return said.get("title", ""), stated(said.get("modified")) or stated(said.get("created"))


def chart(root: Element) -> str:
    """A chart's title and the values it was drawn from, as a table."""
    title = next((words_of(e) for e in root.iter() if local(e) == "title"), "")
    series = [e for e in root.iter() if local(e) == "ser"]
    if not series:
        return f"{title}\n\n" if title else ""
    categories = _points(child(series[0], "cat", "xVal"))
    columns = [_points(child(s, "val", "yVal")) for s in series]
    names = ["".join(_points(child(s, "tx")).values()) for s in series]
    count = max((max(c, default=-1) for c in [categories, *columns]), default=-1) + 1
    rows = [[title, *names], *([categories.get(n, ""), *(c.get(n, "") for c in columns)] for n in range(count))]
    return "".join(table(rows)) + "\n"


def words_of(element: Element) -> str:
    """The drawn text inside an element: runs joined, paragraphs apart."""
    return "\n".join(p for p in paragraphs(element) if p)


def paragraphs(element: Element) -> Iterator[str]:
    for paragraph in element.iter():
        if local(paragraph) == "p":
            pieces = [e.text or "" if local(e) == "t" else "\n" for e in paragraph.iter() if local(e) in ("t", "br")]
            yield "".join(pieces).strip()


def _points(element: Element | None) -> dict[int, str]:
    """Values that a chart keeps of its cells, by number."""
    found: dict[int, str] = {}
    for point in element.iter() if element is not None else ():
        index = point.get("idx") if local(point) == "pt" else None
        if index is not None and index.isdigit() and int(index) < 100_000:
            found[int(index)] = words(child(point, "v"))
    return found
