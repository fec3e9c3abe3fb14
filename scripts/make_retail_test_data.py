"""Makes tests/data/retail/*.jsonl.gz: a small shop's rows, real row changes to them, and the rows that they end in.

    python scripts/make_retail_test_data.py --data DIR

DIR holds retail_users.jsonl, retail_orders.jsonl, retail_changes_train.jsonl and retail_final_rows_train.jsonl, got by
running tau-bench's retail actions through its own rules. Only the columns of COLUMNS are kept.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Iterable
from pathlib import Path

import msgspec

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "retail"
COLUMNS = {
    "users": ("email", "address", "payment_methods"),
    "orders": ("user_id", "status", "address", "payment_history"),
}
KEYS = {"users": "user_id", "orders": "order_id"}

Object = dict[str, object]


class Source(msgspec.Struct):
    table: str
    tx: int = msgspec.field(name="txId")


class Key(msgspec.Struct):
    id: str


class RecordedChange(msgspec.Struct):
    source: Source
    key: Key
    after: Object


class FinalRow(msgspec.Struct):
    table: str
    id: str
    row: Object


class Keyed(msgspec.Struct):
    key: str = msgspec.field(name="_key")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    data: Path = parser.parse_args().data
    for table in COLUMNS:
        lines = lines_of(data / f"retail_{table}.jsonl")
        keys = (msgspec.json.decode(line, type=Keyed).key for line in lines)
        rows = (msgspec.json.decode(line, type=Object) for line in lines)
        write(f"{table}.jsonl.gz", (kept(table, key, row) for key, row in zip(keys, rows, strict=True)))
    recorded = [
        msgspec.json.decode(line, type=RecordedChange) for line in lines_of(data / "retail_changes_train.jsonl")
    ]
    write(
        "changes.jsonl.gz",
        (
            {"tx": c.source.tx, "table": c.source.table, "after": kept(c.source.table, c.key.id, c.after)}
            for c in recorded
        ),
    )
    final = [msgspec.json.decode(line, type=FinalRow) for line in lines_of(data / "retail_final_rows_train.jsonl")]
    write("final.jsonl.gz", ({"table": f.table, "row": kept(f.table, f.id, f.row)} for f in final))


def lines_of(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().split(b"\n") if line]


def kept(table: str, key: str, row: Object) -> Object:
    return {KEYS[table]: key} | {column: row[column] for column in COLUMNS[table]}


def write(name: str, rows: Iterable[Object]) -> None:
    """Gzipped JSON lines; no time stamp in it, so that equal rows make equal bytes."""
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / name).write_bytes(gzip.compress(b"".join(msgspec.json.encode(row) + b"\n" for row in rows), mtime=0))


if __name__ == "__main__":
    main()
