"""Front matter: what stands before a Markdown text between `---` (YAML) or `+++` (TOML)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from typing import cast

import yaml
from yaml.events import AliasEvent, CollectionEndEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

from headrace.metadata import Metadata, flat, metadata_of

FRONT_MATTER = re.compile(r"\A(?P<mark>---|\+\+\+)\r?\n(?P<said>.*?)\r?\n(?P=mark)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
LONGEST = 16_384
"""Characters of front matter that is read; a longer one says nothing."""
DEEPEST = 8
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# https://yaml.org/spec/1.2.2/#103-core-schema: `no` and `12:30` are texts there, and so is 007 here.
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE, _FALSE = frozenset({"true", "True", "TRUE"}), frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]*)?\.[0-9]+|(?:0|[1-9][0-9]*)\.)(?:[eE][-+]?[0-9]+)?|[-+]?[1-9][0-9]*[eE][-+]?[0-9]+"
)
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]+\d\d?:\d\d.*)?")


def said(text: str) -> Metadata:
    """Its fields; nothing where it cannot be read, which costs no document."""
    front = FRONT_MATTER.match(text)
    if front is None or len(front["said"]) > LONGEST:
        return {}
    read = _toml if front["mark"] == "+++" else _yaml
    try:
        return metadata_of(dict(flat(read(front["said"]))))
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}


def _toml(text: str) -> Mapping[str, object]:
    return tomllib.loads(text.replace("\r\n", "\n"))


class _Open(list[object]):
    """A collection that is being read; of a mapping keys and values in turn."""

    def __init__(self, *, pairs: bool) -> None:
        super().__init__()
        self.pairs = pairs

    def done(self) -> object:
        return {str(k): v for k, v in zip(self[::2], self[1::2], strict=False)} if self.pairs else list(self)


def _yaml(text: str) -> Mapping[str, object]:
    """Of the events alone: nothing is made of tags, references or merges, so nothing grows."""
    root = _Open(pairs=False)
    path = [root]
    for event in yaml.parse(text, Loader=_LOADER):
        match event:
            case MappingStartEvent() | SequenceStartEvent():
                if len(path) > DEEPEST:
                    raise ValueError("nested too deep")
                path.append(_Open(pairs=isinstance(event, MappingStartEvent)))
            case CollectionEndEvent():
                done = path.pop()
                path[-1].append(done.done())
            case ScalarEvent():
                path[-1].append(_scalar(event.value) if event.implicit[0] else event.value)
            case AliasEvent():
                path[-1].append(None)
            case _:
                pass
    first = root[0] if root else None
    return cast("Mapping[str, object]", first) if isinstance(first, dict) else {}


def _scalar(text: str) -> object:
    """Of a plain word."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return moment(text) if _TIME.fullmatch(text) else text


def moment(text: str) -> object:
    """An ISO 8601 date or time; as it is written where it is none."""
    try:
        return date.fromisoformat(text) if len(text) <= len("2024-01-31") else datetime.fromisoformat(text)
    except ValueError:
        return text
