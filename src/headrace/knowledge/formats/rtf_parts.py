"""The parts of an RTF document that stand beside its text or in it: headers, notes, comments, fields, text boxes, rows
(RTF 1.9.1, "Headers and Footers", "Footnotes", "Comments", "Fields", "Drawing Objects", "Table Definitions")."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

from headrace.knowledge.formats.rtf_reader import Reader
from headrace.knowledge.formats.rtf_state import Field, State

_HEADERS = ("header", "headerl", "headerr", "headerf")
_FOOTERS = ("footer", "footerl", "footerr", "footerf")
_SILENT = ("pict", "shpinst", "do")
"""Drawings: in them is text only where it is told."""
_BOXES = ("shptxt", "dptxbxtext")
_EDGES = 64
"""Cells of a row whose places are known."""
_ARGUMENTS = re.compile(r'"([^"]*)"|\\(\S)|(\S+)')
_SYMBOL = re.compile(r'\s*SYMBOL\s+([0-9]{1,3})\s.*?\\f\s+"?([^"\s]+)', re.IGNORECASE)
_LONGEST_FIELD = 4096
_DESCRIPTION = "wzdescription"
"""The property of a picture or shape that describes it to who does not see it."""


class Parts:
    """Takes the parts; what is beside the text, in the order in which it comes."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._author = ""
        self._property = ""
        self.headers: dict[str, None] = {}
        self.footers: dict[str, None] = {}
        self.footnotes: list[str] = []
        self.endnotes: list[str] = []
        self.comments: list[str] = []
        acts = reader.acts
        for words, found in ((_HEADERS, self.headers), (_FOOTERS, self.footers)):
            acts |= dict.fromkeys(words, lambda _, found=found: self._beside(found))
        acts |= dict.fromkeys(_SILENT, lambda _: reader.enter("drawing", None))
        acts |= dict.fromkeys(_BOXES, lambda _: self._box())
        acts["shppict"] = acts["picprop"] = lambda _: None
        acts["sn"] = lambda _: reader.capture("sn", self._named)
        acts["sv"] = lambda _: reader.capture("sv", self._valued)
        acts["footnote"] = lambda _: reader.tell("footnote", self._note)
        acts["ftnalt"] = self._is_endnote
        acts["annotation"] = lambda _: reader.tell("annotation", self._comment)
        acts["atnauthor"] = lambda _: reader.capture("atnauthor", self._by)
        acts["atndate"] = acts["atnref"] = acts["atnparent"] = acts["atnicn"] = lambda _: reader.skip()
        acts["listtext"] = acts["pntext"] = lambda _: self._label()
        acts["field"] = self._field
        acts["fldinst"] = lambda _: self._instruction()
        acts["fldrslt"] = lambda _: self._result()

    def _beside(self, found: dict[str, None]) -> None:
        """A header or footer; those of several kinds of pages and sections often say the same."""
        self._reader.tell("beside", lambda _, blocks: found.update({"\n\n".join(blocks): None}))

    def _note(self, state: State, blocks: Sequence[str]) -> None:
        if text := _line(blocks):
            (self.endnotes if state.place == "endnote" else self.footnotes).append(f"- {text}")

    def _is_endnote(self, _: int | None) -> None:
        if self._reader.state.place == "footnote":
            self._reader.state.place = "endnote"

    def _by(self, text: str) -> None:
        self._author = " ".join(text.split())

    def _comment(self, _: State, blocks: Sequence[str]) -> None:
        author, self._author = self._author, ""
        if text := _line(blocks):
            self.comments.append(f"- {author}: {text}" if author else f"- {text}")

    def _box(self) -> None:
        outer = self._reader.state.story
        self._reader.tell("box", lambda _, blocks: outer.beside("\n\n".join(blocks)))

    def _named(self, text: str) -> None:
        self._property = text.strip().lower()

    def _valued(self, text: str) -> None:
        """A property of a drawing: its description stands for it."""
        state = self._reader.state
        text = " ".join(text.split())
        if self._property == _DESCRIPTION and text and not state.hidden and not state.deleted:
            state.story.write(f"![{text}](data:image;base64...)")
        self._property = ""

    def _label(self) -> None:
        """The number or sign of a list's item, as the program that wrote the file has shown it."""
        story = self._reader.state.story
        self._reader.capture("label", lambda text: setattr(story, "label", text.strip() or story.label))

    def _field(self, _: int | None) -> None:
        self._reader.state.field = Field()

    def _instruction(self) -> None:
        """Instructions may be nested: each is its own field's."""
        field = self._reader.state.field or Field()
        sink = io.StringIO()

        def done(_: State) -> None:
            field.instruction = (field.instruction + sink.getvalue())[:_LONGEST_FIELD]

        self._reader.enter("fldinst", sink, done)

    def _result(self) -> None:
        state, field = self._reader.state, self._reader.state.field
        if field is None or state.sink is not state.story:
            return
        story, mark = state.story, state.story.mark()
        target = "" if state.is_linked else _address(field.instruction)  # links do not stand in each other

        def done(_: State) -> None:
            if target:
                story.link(mark, target)
            elif story.is_silent(mark) and (symbol := _SYMBOL.match(field.instruction)):
                self._reader.write(self._reader.fonts.sign(int(symbol[1]), symbol[2]))

        self._reader.enter(state.place, state.sink, done)
        state.is_linked = state.is_linked or bool(target)


class Rows:
    """Takes the cells of tables and where they end; what a table in a cell holds becomes that cell's text."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._edges: list[int] = []
        acts = reader.acts
        acts["trowd"] = self._begin
        acts["cellx"] = self._edge
        acts["cell"] = self._end_cell
        acts["row"] = self._end_row

    def _begin(self, _: int | None) -> None:
        if self._reader.state.nesting <= 1:
            self._edges = []

    def _edge(self, number: int | None) -> None:
        if self._reader.state.nesting <= 1 and len(self._edges) < _EDGES:
            self._edges.append(number or 0)

    def _end_cell(self, _: int | None) -> None:
        state = self._reader.state
        if state.sink is state.story:
            state.story.end_cell(state.look(self._reader.levels))

    def _end_row(self, _: int | None) -> None:
        state = self._reader.state
        if state.sink is state.story:
            state.story.end_row(self._edges)


def _line(blocks: Sequence[str]) -> str:
    return " ".join(" ".join(b.lstrip("# ") for b in blocks).split())


def _address(instruction: str) -> str:
    """Where a HYPERLINK leads to outside of the document; nothing for another field."""
    kind, _, rest = instruction.strip().partition(" ")
    if kind.upper() != "HYPERLINK":
        return ""
    address = switch = fragment = ""
    for quoted, letter, bare in _ARGUMENTS.findall(rest):
        if letter:
            switch = letter if letter in "lot" else ""  # those that have an argument
            continue
        said = (quoted or bare).strip()
        if not switch:
            address = address or said
        elif switch == "l":
            fragment = said
        switch = ""
    address = address.replace(" ", "%20")
    return f"{address}#{fragment}" if address and fragment and "#" not in address else address
