"""XML without what makes it dangerous: entities of its own, outside files, network."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from lxml import etree
from lxml.etree import XMLSyntaxError, _Element  # pyright: ignore[reportPrivateUsage]

from headrace.errors import BadInput
from headrace.knowledge.parsed import File

Element = _Element
_CLOSED = re.compile(r"</(?:[\w.-]{1,99}:)?([\w.-]{1,99})\s*>")
_ENDED = "_ended"
"""An element of our own before a root's end: it is not there when the parser gave up before."""
_SAFE = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}


def root_of(file: File, content: bytes, what: str) -> Element:
    """The root of a part of a file. Raises BadInput for what is not well-formed, or declares entities."""
    _check(file, content, what)
    try:
        return etree.fromstring(content, etree.XMLParser(**_SAFE))
    except (XMLSyntaxError, ValueError) as error:
        raise _damaged(file, what, error) from None


def mended(file: File, text: str, what: str) -> Element:
    """The root of what is not well-formed, as far as it can be told: what is left open is closed. `text` declares no
    encoding. Raises BadInput for what breaks off before its root's end, declares entities, or is beyond mending."""
    end, name = _last(text)
    content = f"{text[:end]}<{_ENDED}/>{text[end:]}".encode("utf-8", "ignore")
    _check(file, content, what)
    try:
        root = etree.fromstring(content, etree.XMLParser(**_SAFE, recover=True))
    except (XMLSyntaxError, ValueError) as error:
        raise _damaged(file, what, error) from None
    if name != local(root):
        raise file.refused(f"{what} that is whole", "one that breaks off", "Fetch it again.")
    if next(root.iter("{*}" + _ENDED), None) is None:
        raise file.refused(f"{what} that is well-formed XML", "one that cannot be read to its end", "Fetch it again.")
    return root


def _last(text: str) -> tuple[int, str]:
    """Where the last element of a text ends and its name, when nothing but comments is behind it."""
    end = len(text.rstrip())
    while text.endswith("-->", 0, end) and (began := text.rfind("<!--", 0, end)) >= 0:
        end = len(text[:began].rstrip())
    at = max(text.rfind("</", 0, end), 0)
    closed = _CLOSED.fullmatch(text, at, end)
    return at, closed[1] if closed else ""


def elements_of(file: File, content: bytes, what: str, name: str) -> Iterator[Element]:
    """The elements of a local name in a part of a file, in little memory: each is empty when the next is asked for, and
    one inside another is part of that. Raises BadInput as `root_of` does."""
    _check(file, content, what)
    stream = etree.iterparse(io.BytesIO(content), tag=f"{{*}}{name}", **_SAFE)
    try:
        for _, element in stream:
            if _is_inside(element, name):
                continue
            yield element
            element.clear()
            parent = element.getparent()
            while parent is not None and element.getprevious() is not None:
                del parent[0]
    except XMLSyntaxError as error:
        raise _damaged(file, what, error) from None


def _is_inside(element: Element, name: str) -> bool:
    while (above := element.getparent()) is not None:
        element = above
        if local(element) == name:
            return True
    return False


def _check(file: File, content: bytes, what: str) -> None:
    if b"<!ENTITY" in content:
        raise file.refused(f"{what} without entities of its own", "a declaration of some", "Write them out.")


def _damaged(file: File, what: str, error: Exception) -> BadInput:
    got = " ".join(str(error).split())[:200]
    return file.refused(f"{what} that is well-formed XML", got, "Save it again with its program.")


def local(element: Element) -> str:
    """An element's name without its namespace, and without a prefix that was not declared."""
    tag = element.tag
    return tag.rpartition("}")[2].rpartition(":")[2] if isinstance(tag, str) else ""


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
