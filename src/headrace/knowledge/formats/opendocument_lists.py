"""The numbers of an OpenDocument text's lists: no file has them, they are counted (OpenDocument 1.3 part 3, 5.3)."""

from __future__ import annotations

from headrace.knowledge.formats.numerals import numeral
from headrace.knowledge.formats.opendocument_styles import Styles, number, said
from headrace.knowledge.formats.xml import Element

DEEPEST = 10
"""Levels of a list that the format knows."""


class Counts:
    """The last number of each level of one list, and whether there is one. `key`: the list's own number."""

    def __init__(self, key: int) -> None:
        self.key = key
        self.last = [0] * DEEPEST
        self.counted = [False] * DEEPEST

    def restart(self, level: int) -> None:
        self.counted[level:] = [False] * (DEEPEST - level)

    def set(self, level: int, before: int) -> None:
        self.last[level], self.counted[level] = before, True


class Lists:
    """The lists of one part, those that have ended too: another one may go on where they did."""

    def __init__(self, styles: Styles) -> None:
        self._styles = styles
        self._by_id: dict[str, Counts] = {}
        self._by_style: dict[str, Counts] = {}
        self._made = 0

    def begin(self, element: Element) -> Counts:
        """A list that is in no other one."""
        style = said(element, "text:style-name")
        found = self._by_id.get(said(element, "text:continue-list") or said(element, "text:list-id"))
        if found is None and said(element, "text:continue-numbering") == "true":
            found = self._by_style.get(style)
        if found is None:
            self._made += 1
            found = Counts(self._made)
        self._by_style[style] = found
        for name in ("xml:id", "text:list-id"):
            if id := said(element, name):
                self._by_id[id] = found
        return found

    def item(self, element: Element, counts: Counts, level: int) -> None:
        """An item may say its number."""
        if said(element, "text:start-value"):
            counts.set(level, number(element, "text:start-value", 1) - 1)

    def mark(self, counts: Counts, style: str, level: int) -> str:
        """What stands before the next item of a level."""
        label = self._styles.label(style, level)
        if label is None:
            return "- "
        last = counts.last[level] if counts.counted[level] else label.start - 1
        counts.set(level, last + 1)
        counts.restart(level + 1)
        shown = range(max(0, level + 1 - label.shown), level + 1)
        numbers = ".".join(self._number(counts, style, n) for n in shown)
        text = f"{label.before}{numbers}{label.after}"
        return text + (". " if text[-1:].isalnum() else " ")

    def _number(self, counts: Counts, style: str, level: int) -> str:
        label = self._styles.label(style, level)
        last = counts.last[level] if counts.counted[level] else label.start if label else 1
        return numeral(last, label.kind if label else "1")
