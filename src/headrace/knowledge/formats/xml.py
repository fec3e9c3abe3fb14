"""XML without what makes it dangerous: entities of its own, outside files, network."""

from __future__ import annotations

from lxml import etree
from lxml.etree import XMLSyntaxError, _Element  # pyright: ignore[reportPrivateUsage]

from headrace.knowledge.parsed import File

Element = _Element


def root_of(file: File, content: bytes, what: str) -> Element:
    """The root of a part of a file. Raises BadInput for what is not well-formed, or declares entities."""
    if b"<!ENTITY" in content:
        raise file.refused(f"{what} without entities of its own", "a declaration of some", "Write them out.")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        return etree.fromstring(content, parser)
    except (XMLSyntaxError, ValueError) as error:
        got = " ".join(str(error).split())[:200]
        raise file.refused(f"{what} that is well-formed XML", got, "Save it again with its program.") from None


def local(element: Element) -> str:
    """An element's name without its namespace."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def child(element: Element, *names: str) -> Element | None:
    """The first child of one of these local names."""
    return next((c for c in element if local(c) in names), None)


def words(element: Element | None) -> str:
    """All text inside, white space folded."""
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


def attribute(element: Element, name: str) -> str | None:
    """An attribute by its local name."""
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return value
    return None
