"""RSS and Atom: each entry under its title. What publishers write is often no XML, and can be read all the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from html.entities import html5
from itertools import pairwise

from headrace.errors import BadInput
from headrace.knowledge.dates import stated
from headrace.knowledge.formats.html import of_text
from headrace.knowledge.formats.markdown import headings
from headrace.knowledge.formats.text import decode, name_of
from headrace.knowledge.formats.xml import Element, attribute, child, local, mended, root_of, words
from headrace.knowledge.parsed import Draft, File, Parsed

_CONTENT = ("encoded", "content", "description", "summary")
_MARKED = re.compile(r"<!\[CDATA\[|<!--")
_DECLARED = re.compile(r"<\?xml\b[^<>]*\?>")
_ENTITY = re.compile(r"&(?:(amp|lt|gt|quot|apos|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});|(\w{1,32};)?)")
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_DATE = ("pubDate", "updated", "published", "date", "lastBuildDate")


def parse(file: File) -> Parsed:
    root = _root(file)
    channel = child(root, "channel")
    head = root if channel is None else channel
    entries = [e for e in root.iter() if local(e) in ("item", "entry")]
    title = words(child(head, "title"))
    draft = Draft(file)
    if title:
        draft.add(f"# {title}\n\n")
    draft.add(_body(child(head, "description", "subtitle")))
    for entry in entries:
        draft.add(f"## {words(child(entry, 'title')) or 'Untitled'}\n\n")
        said = [words(child(entry, *_DATE)), _link(entry)]
        draft.add("".join(f"{line}\n\n" for line in said if line))
        draft.add(_body(next((c for name in _CONTENT if (c := child(entry, name)) is not None), None)))
    return draft.done(title or name_of(file.path), dated=stated(words(child(head, *_DATE))))


def _root(file: File) -> Element:
    try:
        return root_of(file, file.content, "a feed")
    except BadInput as error:
        try:
            text = decode(file.path, file.content, file.charset)
        except BadInput:
            raise error from None
    text = _DECLARED.sub("", _NOT_XML.sub("", text)).strip()
    return mended(file, "".join(_written(text)), "a feed")


def _written(text: str) -> Iterator[str]:
    """A text with entities that XML knows. In comments and in what is marked as plain there are none."""
    at = 0
    while marked := _MARKED.search(text, at):
        yield _ENTITY.sub(_written_out, text[at : marked.start()])
        end = text.find("-->" if marked[0] == "<!--" else "]]>", marked.end())
        at = len(text) if end < 0 else end + 3
        yield text[marked.start() : at]
    yield _ENTITY.sub(_written_out, text[at:])


def _written_out(entity: re.Match[str]) -> str:
    """What XML knows as it stands, HTML's names as their characters, and any other ampersand as one."""
    known, named = entity.groups()
    if known is not None:
        return entity[0].replace("#X", "#x")
    character = html5.get(named or "")
    return escape(character, quote=False) if character else f"&amp;{named or ''}"


def _link(entry: Element) -> str:
    link = child(entry, "link")
    return "" if link is None else attribute(link, "href") or words(link)


def _body(element: Element | None) -> str:
    """A description's text: markup stands in it escaped, or as elements."""
    if element is None:
        return ""
    text = "".join(element.itertext())
    if "<" in text:
        text = of_text(f"<html><body>{text}</body></html>").text
        # Headings of an entry's own text stay below the entry's; lines of its code are none.
        starts = [at for at, _, _ in headings(text) if text.startswith("#", at)]
        text = "##".join(text[a:b] for a, b in pairwise([0, *starts, len(text)]))
    return text.strip() + "\n\n" if text.strip() else ""
