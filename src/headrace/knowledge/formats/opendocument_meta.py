"""What an OpenDocument file states of itself (OpenDocument 1.3 part 3, 4.3)."""

from __future__ import annotations

from collections.abc import Iterable

from headrace.knowledge.dates import stated
from headrace.knowledge.formats.office import Core
from headrace.knowledge.formats.opendocument_styles import named, part, said
from headrace.knowledge.formats.xml import Element, words
from headrace.metadata import keywords_of, metadata_of, time_text_us

_NAMES = {
    "dc:title": "title",
    "dc:subject": "subject",
    "dc:description": "description",
    "dc:language": "language",
    "meta:initial-creator": "author",
    "dc:creator": "last_modified_by",
}
_TIMES = {"meta:creation-date": "created", "dc:date": "modified", "meta:print-date": "lastPrinted"}


def about(root: Element | None) -> Core:
    """Title, time of the last change or else of the making, and metadata by the names that Office's have."""
    elements = list(part(root, "office:meta"))
    texts = {named(e): words(e) for e in elements}
    found: dict[str, object] = {name: texts[key] for key, name in _NAMES.items() if texts.get(key)}
    if "author" not in found and "last_modified_by" in found:
        found["author"] = found.pop("last_modified_by")
    found |= {name: time_text_us(stated(texts.get(key))) for key, name in _TIMES.items()}
    found["keywords"] = [w for e in elements if named(e) == "meta:keyword" for w in keywords_of(words(e))]
    dated = stated(texts.get("dc:date")) or stated(texts.get("meta:creation-date"))
    return Core(texts.get("dc:title", ""), dated, metadata_of(_own(elements), found))


def _own(elements: Iterable[Element]) -> dict[str, object]:
    """What people have added."""
    return {said(e, "meta:name"): _value(e) for e in elements if named(e) == "meta:user-defined"}


def _value(element: Element) -> object:
    text = words(element)
    match said(element, "meta:value-type"):
        case "float":
            try:
                return float(text)
            except ValueError:
                return text
        case "boolean":
            return text == "true"
        case "date":
            return time_text_us(stated(text)) or text
        case _:
            return text
