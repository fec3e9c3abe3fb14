"""The numbers of Word's lists and headings: no document has them, they are counted (ECMA-376 part 1, 17.9)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from headrace.knowledge.formats.numerals import numeral
from headrace.knowledge.formats.package import Package
from headrace.knowledge.formats.xml import Element, attribute, child, local

_KINDS = {"lowerLetter": "a", "upperLetter": "A", "lowerRoman": "i", "upperRoman": "I"}
_PLACE = re.compile(r"%([1-9])")
_LEVELS = 9
BULLET = "-"


@dataclass(frozen=True, slots=True)
class _Level:
    start: int = 1
    kind: str = "decimal"
    text: str = ""
    style: str = ""


@dataclass(slots=True)
class _List:
    """The levels of an abstract list, and their last numbers: several lists may go on in one."""

    levels: dict[int, _Level] = field(default_factory=dict[int, _Level])
    last: dict[int, int] = field(default_factory=dict[int, int])


@dataclass(frozen=True, slots=True)
class _Instance:
    of: _List
    restarts: dict[int, int]


class Numbering:
    """What stands before the paragraphs of lists. Paragraphs are to be asked for in their order."""

    def __init__(self, package: Package, name: str) -> None:
        self._lists: dict[str, _Instance] = {}
        self._begun: set[tuple[str, int]] = set()
        if package.has(name):
            self._read(package.xml(name))

    def _read(self, root: Element) -> None:
        abstract: dict[str, _List] = {}
        for each in root:
            if local(each) == "abstractNum":
                levels = {_number(e, "ilvl"): _level(e) for e in each if local(e) == "lvl"}
                abstract[attribute(each, "abstractNumId") or ""] = _List(levels)
        for each in root:
            if local(each) == "num" and (found := abstract.get(value(child(each, "abstractNumId")))):
                over = [e for e in each if local(e) == "lvlOverride" and child(e, "startOverride") is not None]
                restarts = {_number(e, "ilvl"): _int(value(child(e, "startOverride")), 1) for e in over}
                self._lists[attribute(each, "numId") or ""] = _Instance(found, restarts)

    def level_of(self, list_id: str, style: str) -> int:
        """The level that a list gives to paragraphs of a style."""
        instance = self._lists.get(list_id)
        levels = instance.of.levels.items() if instance else ()
        return next((n for n, level in levels if level.style == style), 0)

    def mark(self, list_id: str, level: int) -> str:
        """`-`, or the next number as the list shows it; empty where it shows none."""
        instance = self._lists.get(list_id)
        if instance is None:
            return BULLET
        shown = instance.of.levels.get(level, _Level(kind="bullet"))
        if shown.kind == "bullet":
            return BULLET
        last = instance.of.last
        if level in instance.restarts and (list_id, level) not in self._begun:
            last[level] = instance.restarts[level] - 1
        self._begun.add((list_id, level))
        last[level] = last.get(level, shown.start - 1) + 1
        for deeper in range(level + 1, _LEVELS):
            last.pop(deeper, None)
        if shown.kind == "none":
            return ""
        return _PLACE.sub(lambda place: self._number(instance.of, int(place[1]) - 1), shown.text).strip()

    def _number(self, of: _List, level: int) -> str:
        found = of.levels.get(level, _Level())
        return numeral(of.last.get(level, found.start), _KINDS.get(found.kind, "1"))


def _level(element: Element) -> _Level:
    named = {name: value(child(element, name)) for name in ("start", "numFmt", "lvlText", "pStyle")}
    return _Level(_int(named["start"], 1), named["numFmt"] or "decimal", named["lvlText"][:40], named["pStyle"])


def _number(element: Element, name: str) -> int:
    return _int(attribute(element, name) or "", 0)


def _int(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else otherwise


def value(element: Element | None) -> str:
    """The attribute `val`, in which Word keeps most of what it says."""
    return (attribute(element, "val") or "") if element is not None else ""
