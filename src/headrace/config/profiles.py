"""`[profiles]`: whose rows describe somebody, and whose belong to somebody."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field


class RecordEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[[profiles.records]]`: a table whose rows describe somebody."""

    table: Annotated[str, Meta(description="`source.schema.table`")]
    identifiers: Annotated[dict[str, str], Meta(description="identifier type = column")]
    fields: Annotated[dict[str, str], Meta(description="field = column")] = field(default_factory=dict[str, str])


class FactEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[[profiles.facts]]`: a table whose rows belong to somebody."""

    table: Annotated[str, Meta(description="`source.schema.table`")]
    belongs_to: Annotated[dict[str, str], Meta(description="identifier type = column")]
    order_by: Annotated[str | None, Meta(description="column by which the newest are kept")] = None
    keep: Annotated[int, Meta(ge=1, description="how many of the newest a profile shows")] = 50
    aggregates: Annotated[
        dict[str, str], Meta(description="name = `count(*)`, `sum(column)`, `min`, `max`, `avg`; over all of them")
    ] = field(default_factory=dict[str, str])
    name: Annotated[str | None, Meta(description="what one is called, such as `flight`")] = None
    time: Annotated[str | None, Meta(description="column that says when it happens, for `next` and `last`")] = None
    text: Annotated[str | None, Meta(description="Jinja2 template: how one reads as a sentence")] = None


class Profiles(Struct, frozen=True, forbid_unknown_fields=True):
    """`[profiles]`."""

    records: list[RecordEntry] = field(default_factory=list[RecordEntry])
    facts: list[FactEntry] = field(default_factory=list[FactEntry])
