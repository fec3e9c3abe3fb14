"""Which tables are followed, and how that changes while the log is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from headrace.sources.mysql.ddl import Effect, Kind

SYSTEM = frozenset({"mysql", "sys", "information_schema", "performance_schema"})


def matches(table: str, patterns: Sequence[str]) -> bool:
    """Whether `database.table` fits one of the patterns; the server's own databases never do."""
    return table.partition(".")[0].lower() not in SYSTEM and any(fnmatchcase(table, p) for p in patterns)


class Tables:
    """`captured`: what the log holds whole and follows. `refused`: what cannot be. `counted`: what was captured when
    the last run ended: a transaction that was given in part is numbered as it was then."""

    def __init__(
        self, patterns: Sequence[str], captured: Iterable[str], refused: Iterable[str], counted: Iterable[str] = ()
    ) -> None:
        self.captured = set(captured)
        self.refused = set(refused)
        self.counted = frozenset(counted)
        self._patterns = tuple(patterns)
        self._muted: frozenset[str] = frozenset()
        self._known: dict[str, bool] = {}

    def wanted(self, table: str) -> bool:
        if (known := self._known.get(table)) is None:
            known = self._known[table] = matches(table, self._patterns)
        return known

    def muted(self, table: str) -> bool:
        """Its rows are to be copied as of a later point: until there they are not given."""
        return table in self._muted

    def mute(self, tables: Iterable[str]) -> None:
        self._muted = frozenset(tables)

    def concerned(self, effect: Effect) -> bool:
        if effect.kind is Kind.DROP_DATABASE:
            return any(t.startswith(effect.table + ".") for t in self.captured | self.refused | self._muted)
        return self.wanted(effect.table) or (effect.kind is Kind.RENAME and self.wanted(effect.to))
