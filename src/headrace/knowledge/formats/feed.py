"""RSS and Atom: each entry under its title."""

from __future__ import annotations

from itertools import pairwise

from headrace.knowledge.dates import stated
from headrace.knowledge.formats.html import of_text
from headrace.knowledge.formats.markdown import headings
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.formats.xml import Element, attribute, child, local, root_of, words
from headrace.knowledge.parsed import Draft, File, Parsed

_CONTENT = ("encoded", "content", "description", "summary")
_DATE = ("pubDate", "updated", "published", "date", "lastBuildDate")


def parse(file: File) -> Parsed:
    root = root_of(file, file.content, "a feed")
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
