"""What of a page is read: what a browser shows, but for what only serves to find one's way."""

from __future__ import annotations

import re

from lxml.html import HtmlElement

BLOCKS = frozenset(
    """
    address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li listing main menu nav ol optgroup option p pre search
    section summary table tbody td textarea tfoot th thead title tr ul xmp
    """.split()
)
HEADINGS = {f"h{n}": n for n in range(1, 7)}
_HIDDEN = frozenset(
    "script style noscript noframes template head svg iframe object annotation annotation-xml rp datalist".split()
)
_ASIDE = frozenset({"nav", "footer", "dialog"})
_ASIDE_ROLES = frozenset({"navigation", "contentinfo", "dialog"})
_UNSEEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
# Numbers of lines beside code, as Pygments, Rouge, Chroma, Hexo and GitHub name them.
_LINE_NUMBERS = frozenset("linenos lineno linenodiv lnt ln gutter blob-num hljs-ln-numbers rouge-gutter".split())
_GUTTERS = frozenset({"td", "span", "a"})
_BACK = frozenset({"headerlink", "footnote-back", "footnote-backref", "data-footnote-backref", "mw-cite-backlink"})
_FEW = 8


def tag_of(element: HtmlElement) -> str:
    """Empty for what is no element, such as a comment. MathML in EPUB may have a prefix."""
    tag = element.tag
    return tag.removeprefix("m:").removeprefix("mml:") if isinstance(tag, str) else ""


def classes(element: HtmlElement) -> frozenset[str]:
    return frozenset((element.get("class") or "").split())


def main_of(root: HtmlElement) -> tuple[HtmlElement, bool]:
    """The page's main part, or all of it, and whether what is beside the main part can be told and left out.

    An article is no more than a sign that it can: there may be more to read beside it.
    """
    mains = [e for e in root.iter() if (e.tag == "main" or e.get("role") == "main") and not _unseen(e)]
    outer = [e for e in mains if not _inside(e, mains)] if len(mains) < _FEW else mains
    if len(outer) == 1:
        return outer[0], True
    articles = [e for _, e in zip(range(2), root.iter("article"), strict=False)]
    return root, not mains and len(articles) == 1


def _inside(element: HtmlElement, others: list[HtmlElement]) -> bool:
    above = element.getparent()
    while above is not None:
        if above in others:
            return True
        above = above.getparent()
    return False


def holding(root: HtmlElement, tags: frozenset[str]) -> set[HtmlElement]:
    """All elements that have one of these somewhere inside them; in time that grows with the page."""
    found: set[HtmlElement] = set()
    for element in root.iter(*tags):
        above = element.getparent()
        while above is not None and above not in found:
            found.add(above)
            above = above.getparent()
    return found


def left_out(element: HtmlElement, tag: str, *, aside: bool) -> bool:
    """`aside`: what is beside the page's main part too."""
    if tag in _HIDDEN or _unseen(element):
        return True
    if aside and (tag in _ASIDE or element.get("role") in _ASIDE_ROLES):
        return True
    if element.get("aria-hidden") == "true" and tag not in BLOCKS:
        return True  # icons, and what is said otherwise to who cannot see it
    if tag in _GUTTERS and not _LINE_NUMBERS.isdisjoint(classes(element)):
        return True
    return tag in ("a", "span") and _way_back(element)


def _way_back(element: HtmlElement) -> bool:
    """A heading's link to itself, a note's link to where it is called: only signs, such as ¶, # and ↩."""
    if element.get("role") == "doc-backlink" or not _BACK.isdisjoint(classes(element)):
        return True
    if element.get("data-footnote-backref") is not None:
        return True
    if "#" not in (element.get("href") or ""):
        return False
    words = ""
    for n, each in enumerate(element.iter()):
        words += (each.text or "") + (each.tail or "" if n else "")
        if n == _FEW or len(words) > 4 * _FEW or each.tag == "img":
            return False
    return words.strip() != "" and not any(c.isalnum() for c in words)


def _unseen(element: HtmlElement) -> bool:
    if element.get("hidden") not in (None, "until-found"):
        return True
    style = element.get("style")
    return style is not None and _UNSEEN.search(style) is not None
