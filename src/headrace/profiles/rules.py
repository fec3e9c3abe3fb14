"""What the configuration says of records and facts, ready to use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jinja2 import Template

from headrace.stores.profiles import FactRule


@dataclass(frozen=True, slots=True)
class RecordRule:
    """`identifiers` and `fields`: name -> column."""

    topic: str
    identifiers: Mapping[str, str]
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ChildRule:
    """A topic whose rows are facts of the profile that has one of the `belongs_to` identifiers (type -> column).

    `time`: the column that says when a fact happens; `text`: how one reads as a sentence.
    """

    show: FactRule
    belongs_to: Mapping[str, str]
    order_by: str | None
    time: str | None
    text: Template | None
