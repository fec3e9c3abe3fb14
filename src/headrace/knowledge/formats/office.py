"""What Office's packages have in common: title and date of the document, charts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from headrace.errors import BadInput
from headrace.knowledge.dates import stated
from headrace.knowledge.formats import number_format
from headrace.knowledge.formats.package import Package
from headrace.knowledge.formats.table import table
from headrace.knowledge.formats.xml import Element, attribute, child, local, words
from headrace.knowledge.parsed import TooMuch
from headrace.metadata import Metadata, MetadataValue, keywords_of, metadata_of, time_text_us

_CORE, _CUSTOM = "docProps/core.xml", "docProps/custom.xml"
_NAMES = {"creator": "author", "lastModifiedBy": "last_modified_by", "contentStatus": "status"}
_TIMES = frozenset({"created", "modified", "lastPrinted"})
_WHOLE = frozenset({"i1", "i2", "i4", "i8", "int", "ui1", "ui2", "ui4", "ui8", "uint"})


@dataclass(frozen=True, slots=True)
class Core:
    """What a package states of its document; `dated`: when it was changed last or else made."""

    title: str = ""
    dated: int | None = None
    metadata: Metadata = field(default_factory=dict[str, MetadataValue])


def core(package: Package) -> Core:
    """Core and custom properties (ECMA-376 part 2, 11, and part 1, 22.3)."""
    said = {local(e): words(e) for e in package.xml(_CORE)} if package.has(_CORE) else {}
    named: dict[str, object] = {_NAMES.get(n, n): _core_value(n, text) for n, text in said.items()}
    dated = stated(said.get("modified")) or stated(said.get("created"))
    return Core(said.get("title", ""), dated, metadata_of(_custom(package), named))


def _core_value(name: str, text: str) -> object:
    if name in _TIMES:
        return time_text_us(stated(text))
    return keywords_of(text) if name == "keywords" else text


def _custom(package: Package) -> dict[str, object]:
    """What people have added; a part that cannot be read says nothing."""
    try:
        root = package.xml(_CUSTOM) if package.has(_CUSTOM) else ()
    except TooMuch:
        raise
    except BadInput:
        return {}
    return {attribute(e, "name") or "": _custom_value(v) for e in root if local(e) == "property" for v in e}


def _custom_value(element: Element) -> object:
    kind, text = local(element), words(element)
    try:
        if kind in _WHOLE:
            return int(text)
        if kind in ("r4", "r8", "decimal"):
            return float(text)
    except ValueError:
        return text
    if kind == "bool":
        return text.lower() in ("true", "1")
    return time_text_us(stated(text)) if kind in ("filetime", "date") else text


def chart(root: Element) -> str:
    """A chart's title and the values it was drawn from, as a table."""
    title = next((words_of(e) for e in root.iter() if local(e) == "title"), "")
    series = [e for e in root.iter() if local(e) == "ser"]
    categories = _categories(series[0]) if series else {}
    columns: list[tuple[str, dict[int, str]]] = []
    for number, one in enumerate(series, 1):
        name = _name(child(one, "tx")) or f"Series {number}"
        own = _categories(one)
        if own and own != categories:
            columns.append((f"{name}, at", own))
        columns.append((name, _points(child(one, "val", "yVal"))))
    count = max((max(c, default=-1) for c in [categories, *(c for _, c in columns)]), default=-1) + 1
    if not count:
        return f"{title}\n\n" if title else ""
    names = [title, *(name for name, _ in columns)]
    rows = [names, *([categories.get(n, ""), *(c.get(n, "") for _, c in columns)] for n in range(count))]
    return "".join(table(rows)) + "\n"


def _categories(series: Element) -> dict[int, str]:
    """What its values stand at; in several levels each with those that it stands under, the outermost first."""
    element = child(series, "cat", "xVal")
    levels = [e for e in element.iter() if local(e) == "lvl"] if element is not None else []
    if not levels:
        return _points(element)
    found = _points(levels[0])
    for level in levels[1:]:
        outer, above = _points(level), ""
        for n in range(max(found, default=-1) + 1):
            above = outer.get(n, above)
            found[n] = " / ".join(part for part in (above, found.get(n, "")) if part)
    return found


def _value(text: str, code: str) -> str:
    try:
        return number_format.shown(float(text), code) if code else text
    except ValueError:
        return text


def words_of(element: Element) -> str:
    """The drawn text inside an element: runs joined, paragraphs apart."""
    return "\n".join(p for p in paragraphs(element) if p)


def paragraphs(element: Element) -> Iterator[str]:
    for paragraph in element.iter():
        if local(paragraph) == "p":
            pieces = [e.text or "" if local(e) == "t" else "\n" for e in paragraph.iter() if local(e) in ("t", "br")]
            yield "".join(pieces).strip()


def _name(element: Element | None) -> str:
    """A series' name: a cell's, or its own."""
    return "".join(_points(element).values()) or words(child(element, "v") if element is not None else None)


def _points(element: Element | None) -> dict[int, str]:
    """Values that a chart keeps of its cells, by number, as those show them."""
    found: dict[int, str] = {}
    code = ""
    for point in element.iter() if element is not None else ():
        if local(point) == "formatCode":
            code = words(point)
        index = point.get("idx") if local(point) == "pt" else None
        if index is not None and index.isdigit() and int(index) < 100_000:
            found[int(index)] = _value(words(child(point, "v")), point.get("formatCode", code))
    return found
