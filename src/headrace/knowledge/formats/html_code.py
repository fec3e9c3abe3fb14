"""Code and formulas of a page."""

from __future__ import annotations

import re

from lxml.html import HtmlElement

from headrace.knowledge.formats.html_seen import BLOCKS, left_out, tag_of

# Prism and highlight.js, Rouge and others, Sphinx, GitHub, SyntaxHighlighter, Pandoc.
_LANGUAGE = re.compile(
    r"(?:^|\s)(?:lang(?:uage)?-|highlight-(?:source-)?|brush:\s*|sourceCode\s+)([A-Za-z][\w+#.-]{0,29})(?:[\s;]|$)"
)
_NO_LANGUAGE = frozenset("default none text plaintext plain txt notranslate nohighlight literal".split())
_TEX = frozenset({"application/x-tex", "tex", "latex", "application/x-latex"})


def language(element: HtmlElement) -> str:
    """The language of a `pre` element's code, where it, its `code` or what is around it names one; else nothing."""
    above = element.getparent()
    around = above.getparent() if above is not None else None
    child = next((c for c in element if c.tag == "code"), None)
    for each in (child, element, above, around):
        named = _LANGUAGE.search(each.get("class") or "") if each is not None else None
        if named:
            return "" if named[1].lower() in _NO_LANGUAGE else named[1].lower()
    return ""


def code(element: HtmlElement) -> str:
    """The text of an element whose white space counts, without blank lines around it."""
    pieces: list[str] = [element.text or "\n"]
    todo: list[HtmlElement | str] = list(reversed(list(element)))
    while todo:
        each = todo.pop()
        if isinstance(each, str):
            pieces.append(each)
            continue
        tag = tag_of(each)
        if each.tail:
            todo.append(each.tail)
        if not tag or tag == "button" or left_out(each, tag, aside=False):
            continue
        if tag == "br" or (tag in BLOCKS and not pieces[-1].endswith("\n")):
            pieces.append("\n")
        if each.text:
            pieces.append(each.text)
        todo += reversed(list(each))
    text = "".join(pieces).replace("\xa0", " ").replace("\r", "")
    lines = text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    first = next((n for n, line in enumerate(lines) if line.strip()), 0)
    return "\n".join(lines[first:])


def formula(element: HtmlElement) -> str:
    """A `math` element in TeX, or as it is told to who cannot see it; nothing where neither is there (MathML 3, 5)."""
    for each in element.iter("annotation"):
        if (each.get("encoding") or "").lower() in _TEX and (words := (each.text or "").strip()):
            return words
    return (element.get("alttext") or "").strip()
