"""Which versions a reader sees: the present, what a token saw, or what had been committed by a time.

The fragments are put into `.sql` statements at `{valid}`; everything variable goes as a parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headrace.change import Position
from headrace.operators import OVERTAKING
from headrace.stores import AsOf


@dataclass(frozen=True, slots=True)
class Validity:
    """An SQL condition on the versions `v`, and its parameters."""

    sql: str
    args: dict[str, Any]


_PRESENT = "v.closed_at is null"
_TIME = "v.opened_at <= %(as_of)s and (v.closed_at is null or v.closed_at > %(as_of)s)"
_CUT = """exists (
    select from (select 1) one left join unnest(%(cut_sources)s::text[], %(cut_majors)s::bigint[],
        %(cut_minors)s::bigint[]) as o(source, major, minor) on o.source = v.source
      left join unnest(%(end_sources)s::text[], %(end_majors)s::bigint[], %(end_minors)s::bigint[],
        %(end_kinds)s::boolean[]) as e(source, major, minor, overtaken)
        on e.source = {closer} and e.overtaken = {overtaken}
     where (o.source is null or (v.opened_major, v.opened_minor) <= (o.major, o.minor))
       and (v.closed_at is null or (e.source is not null and (v.closed_major, v.closed_minor) > (e.major, e.minor))))"""


def validity(at: AsOf, operator: str, *, closer: str = "v.source", overtaken: str = "v.overtaken") -> Validity:
    """The condition for versions that `operator` made. `closer`: the column with the source of the closing change."""
    if at.time is not None:
        return Validity(_TIME, {"as_of": at.time})
    if at.token is None:
        return Validity(_PRESENT, {})
    opens: list[tuple[str, Position]] = []
    ends: list[tuple[str, Position, bool]] = []
    for source in at.token.positions:
        seen = at.token.position(source, operator)
        if seen is None:
            continue
        early = at.token.position(source, operator + OVERTAKING) or seen
        opens.append((source, seen))
        ends += [(source, seen, False), (source, max(seen, early), True)]
    return Validity(
        _CUT.format(closer=closer, overtaken=overtaken),
        {
            "cut_sources": [s for s, _ in opens],
            "cut_majors": [p.major for _, p in opens],
            "cut_minors": [p.minor for _, p in opens],
            "end_sources": [s for s, _, _ in ends],
            "end_majors": [p.major for _, p, _ in ends],
            "end_minors": [p.minor for _, p, _ in ends],
            "end_kinds": [k for _, _, k in ends],
        },
    )
