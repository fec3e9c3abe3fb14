"""The shop's recorded changes lead from its first rows to its final ones."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec

DATA = Path(__file__).parents[1] / "data" / "retail"


class Recorded(msgspec.Struct):
    tx: int
    table: str
    after: dict[str, object]


class Final(msgspec.Struct):
    table: str
    row: dict[str, object]


def lines(name: str) -> list[bytes]:
    return gzip.decompress((DATA / f"{name}.jsonl.gz").read_bytes()).splitlines()


def test_the_changes_lead_to_the_final_rows() -> None:
    keys = {"users": "user_id", "orders": "order_id"}
    rows: dict[tuple[str, object], dict[str, object]] = {}
    for table, key in keys.items():
        for line in lines(table):
            row = msgspec.json.decode(line, type=dict[str, object])
            rows[table, row[key]] = row
    assert len(rows) == 1500

    changes = [msgspec.json.decode(line, type=Recorded) for line in lines("changes")]
    touched = {(change.table, change.after[keys[change.table]]) for change in changes}
    for change in changes:
        rows[change.table, change.after[keys[change.table]]] = change.after

    final = [msgspec.json.decode(line, type=Final) for line in lines("final")]
    assert {(each.table, each.row[keys[each.table]]) for each in final} == touched
    assert all(rows[each.table, each.row[keys[each.table]]] == each.row for each in final)
    assert len(changes) == 583
    assert [change.tx for change in changes] == sorted(change.tx for change in changes)
