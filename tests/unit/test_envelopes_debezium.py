"""Debezium's envelope as its connectors write it: PostgreSQL, MySQL, Oracle, SQL Server, MongoDB, Cassandra, Vitess."""

import json
from typing import Any

import pytest

from headrace.change import Op
from headrace.envelopes import ChangeDraft, Hints
from headrace.envelopes.read import read
from headrace.errors import BadInput

BY_ID = Hints(key=("id",))


def envelope(op: str, connector: str = "postgresql", **more: Any) -> dict[str, Any]:
    """One without its schema; `source` adds to what says where it is from."""
    source = {
        "version": "3.6.3.Final", "connector": connector, "name": "shop", "ts_ms": 1795259104405,
        "ts_us": 1795259104405783, "snapshot": "false", "db": "store", "table": "orders", **more.pop("source", {}),
    }  # fmt: skip
    return {"op": op, "before": None, "after": None, "source": source, "ts_ms": 1795259104438, **more}


def drafts(record: object, hints: Hints = BY_ID) -> list[ChangeDraft]:
    return list(read(json.dumps(record).encode(), hints).drafts)


def one(record: object, hints: Hints = BY_ID) -> ChangeDraft:
    (draft,) = drafts(record, hints)
    return draft


def refused(record: object, hints: Hints = BY_ID) -> BadInput:
    with pytest.raises(BadInput) as caught:
        drafts(record, hints)
    return caught.value


# ---- operations ------------------------------------------------------------------------------------------------------


def test_create_update_and_read_hold_the_row() -> None:
    row = {"id": 3, "name": "é", "ratio": 0.5, "ok": True, "tags": ["x", 1], "none": None}

    for letter, op in (("c", Op.CREATE), ("u", Op.UPDATE), ("r", Op.READ)):
        draft = one(envelope(letter, after=row, source={"schema": "public", "txId": 761}))
        assert (draft.table, draft.op, draft.key_columns, draft.key) == ("public.orders", op, ("id",), (3,))
        assert draft.after == (3, "é", 0.5, True, '["x", 1]', None)
        assert [c.type for c in draft.columns] == ["int8", "text", "float8", "bool", "json", "text"]
        assert (draft.committed_at, draft.transaction, draft.before) == (1795259104405783, 761, None)


def test_a_delete_by_its_old_row_or_by_the_messages_key() -> None:
    by_row = one(envelope("d", before={"id": 3, "name": None}))
    by_key = one({"key": {"id": 3}, "value": envelope("d")}, Hints())

    assert (by_row.op, by_row.key, by_row.before, by_row.after) == (Op.DELETE, (3,), (3, None), None)
    assert (by_key.op, by_key.key, by_key.before) == (Op.DELETE, (3,), None)
    assert "value of the key's column id" in refused(envelope("d")).expected


def test_a_truncate_needs_no_key() -> None:
    draft = one(envelope("t"), Hints())

    assert (draft.op, draft.key, draft.after) == (Op.TRUNCATE, (), None)


@pytest.mark.parametrize(
    "record",
    [
        envelope("m", message={"prefix": "outbox", "content": "aGk="}),
        {"key": {"id": 3}, "value": None},
        {"topic": "shop.public.orders", "key": {"id": 3}, "value": None},
        {"schema": None, "payload": None},
        None,
        {"status": "BEGIN", "id": "760:24119696", "event_count": None, "data_collections": None, "ts_ms": 1},
        {"source": {}, "ts_ms": 1, "databaseName": "store", "ddl": "drop table t", "tableChanges": []},
        {"topic": "shop", "key": {"databaseName": ""}, "value": {"databaseName": "store", "tableChanges": []}},
        {"ts_ms": 1795259104438},
    ],
)
def test_what_changes_no_row_gives_nothing(record: object) -> None:
    assert drafts(record, Hints()) == []


def test_an_update_that_changes_the_key_is_a_delete_and_a_create() -> None:
    gone, came = drafts(envelope("u", "sqlserver", before={"id": 3, "n": "a"}, after={"id": 33, "n": "a"}))

    assert (gone.op, gone.key, gone.after) == (Op.DELETE, (3,), None)
    assert (came.op, came.key, came.before, came.after) == (Op.CREATE, (33,), None, (33, "a"))


def test_an_old_row_of_nulls_changes_no_key() -> None:
    """PostgreSQL's default replica identity: of the old row nothing but the key, or nothing at all."""
    assert one(envelope("u", before={"id": None, "n": None}, after={"id": 3, "n": "a"})).op is Op.UPDATE


# ---- keys and tables -------------------------------------------------------------------------------------------------


def test_the_messages_key_names_the_primary_key() -> None:
    draft = one({"key": {"b": 2, "a": "x"}, "value": envelope("c", after={"a": "x", "b": 2, "c": 1})}, Hints())

    assert (draft.key_columns, draft.key) == (("b", "a"), (2, "x"))


def test_a_message_as_a_console_prints_it() -> None:
    """kcat writes key and payload as text."""
    value = json.dumps(envelope("c", after={"id": 3}))

    draft = one({"topic": "shop.orders", "partition": 0, "offset": 7, "key": '{"id":3}', "payload": value}, Hints())

    assert (draft.key_columns, draft.key, draft.table) == (("id",), (3,), "store.orders")


def test_a_key_that_is_a_value_alone_needs_its_columns_name() -> None:
    message = {"key": 3, "value": envelope("d")}

    assert one(message).key == (3,)
    assert refused(message, Hints()).expected == "a key with its column's name"


def test_without_any_key_the_sender_is_told_how_to_name_it() -> None:
    error = refused(envelope("c", after={"id": 3}), Hints())

    assert error.expected == "the primary key"
    assert "?key=" in error.remedy


def test_a_message_without_a_key_is_known_by_its_whole_row() -> None:
    draft = one({"key": None, "value": envelope("c", after={"a": 1, "b": None})}, Hints())

    assert (draft.key_columns, draft.key) == (("a", "b"), (1, None))


@pytest.mark.parametrize(
    ("connector", "source", "table"),
    [
        ("postgresql", {"schema": "public"}, "public.orders"),
        ("mysql", {}, "store.orders"),
        ("mariadb", {"gtid": "0-101-9", "file": "bin.000001", "pos": 3286}, "store.orders"),
        ("oracle", {"schema": "DEBEZIUM", "txId": "6.28.807", "scn": "2122185"}, "DEBEZIUM.orders"),
        ("sqlserver", {"schema": "dbo", "change_lsn": "00000027:00000758:0003"}, "store.dbo.orders"),
        ("db2", {"schema": "DB2INST1", "change_lsn": None}, "DB2INST1.orders"),
        ("vitess", {"db": "", "keyspace": "commerce", "vgtid": "[]"}, "commerce.orders"),
        ("spanner", {"db": "database", "sequence": "1"}, "database.orders"),
    ],
)
def test_each_connector_says_its_table(connector: str, source: dict[str, object], table: str) -> None:
    draft = one(envelope("c", connector, after={"id": 1}, source=source))

    assert draft.table == table
    assert draft.transaction == 0


def test_the_senders_table_wins_and_one_is_needed() -> None:
    assert one(envelope("c", after={"id": 1}), Hints(table="mine", key=("id",))).table == "mine"
    assert "table" in refused({"op": "c", "source": {}, "after": {"id": 1}}).expected
    assert "printable" in refused(envelope("c", after={"id": 1}, source={"table": "a\nb"})).expected


# ---- times -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "at"),
    [
        ({"ts_us": None}, 1795259104405000),
        ({"ts_us": None, "ts_ms": 0}, 1795259104438000),
        ({"ts_us": None, "ts_ms": "1580390884335"}, 1580390884335000),
        ({"ts_us": None, "ts_ms": 1558965508000000000}, 1795259104438000),
        ({"ts_us": None, "ts_ms": None, "ts_sec": 1486501558}, 1486501558000000),
    ],
)
def test_the_time_that_is_one(source: dict[str, object], at: int) -> None:
    """The source's before the connector's; nothing that is 0 or lies beyond the calendar."""
    assert one(envelope("c", after={"id": 1}, source=source)).committed_at == at


# ---- with a schema ---------------------------------------------------------------------------------------------------


def test_with_its_schema_types_are_the_schemas_for_row_and_key() -> None:
    columns = [
        {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "1"}, "field": "id"},
        {"type": "int32", "name": "io.debezium.time.Date", "field": "d"},
    ]
    rows = [{"type": "struct", "field": side, "fields": columns} for side in ("before", "after")]
    schema = {"type": "struct", "fields": [*rows, {"type": "string", "field": "op"}]}
    key = {"schema": {"type": "struct", "fields": columns[:1]}, "payload": {"id": "Aw=="}}
    value = {"schema": schema, "payload": envelope("c", after={"id": "Aw==", "d": 20455})}

    came = one({"key": key, "value": value}, Hints())
    gone = one({"key": key, "value": {"schema": schema, "payload": envelope("d")}}, Hints())

    assert (came.key, came.after) == (("0.3",), ("0.3", "2026-01-02"))
    assert [c.type for c in came.columns] == ["numeric", "date"]
    assert gone.key == came.key


# ---- what a source leaves out ----------------------------------------------------------------------------------------


def test_a_large_value_that_was_not_sent_again_is_missing() -> None:
    left_out = "__debezium_unavailable_value"
    after = {"id": 3, "big": left_out, "raw": "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==", "n": 1}

    draft = one(envelope("u", after=after, source={"schema": "public"}))

    assert draft.missing == {"big", "raw"}
    assert draft.after == (3, None, None, 1)
    assert one(envelope("u", "mysql", after=after)).after == tuple(after.values())  # there it is a user's own text


def cells(**values: object) -> dict[str, object]:
    return {n: None if v is None else {"value": v, "deletion_ts": None, "set": True} for n, v in values.items()}


def test_cassandras_cells() -> None:
    source = {"keyspace": "inventory", "cluster": "c", "db": None}

    came = one(envelope("c", "cassandra", after=cells(id=1, name="Anne", email=None), source=source))
    changed = one(envelope("u", "cassandra", after=cells(id=1, name=None, email="a@x"), source=source))
    gone = one(envelope("d", "cassandra", after=cells(id=1, name=None, email=None), source=source))

    assert (came.table, came.after, came.missing) == ("inventory.orders", (1, "Anne", None), frozenset())
    assert changed.missing == {"name"}
    assert (gone.op, gone.key, gone.after) == (Op.DELETE, (1,), None)


# ---- MongoDB ---------------------------------------------------------------------------------------------------------


def document(**more: object) -> dict[str, Any]:
    source = {"collection": "customers", "table": None, "rs": "rs0"}
    return envelope(str(more.pop("op")), "mongodb", source=source, **more)


def test_a_document_of_mongodb() -> None:
    after = {
        "_id": {"$oid": "65a1b2c3d4e5f60718293a4b"}, "n": {"$numberLong": "9007199254740993"}, "i": {"$numberInt": "7"},
        "price": {"$numberDecimal": "12.50"}, "ratio": {"$numberDouble": "NaN"}, "at": {"$date": 1767323045678},
        "then": {"$date": {"$numberLong": "-1000"}}, "raw": {"$binary": {"base64": "AP8=", "subType": "00"}},
        "old": {"$binary": "AP8=", "$type": "00"}, "name": "Anne", "address": {"city": "Graz", "no": 1.10},
    }  # fmt: skip

    draft = one(document(op="c", after=json.dumps(after)), Hints())

    assert (draft.table, draft.key_columns, draft.key) == ("store.customers", ("_id",), ("65a1b2c3d4e5f60718293a4b",))
    assert draft.after == (
        "65a1b2c3d4e5f60718293a4b", 9007199254740993, 7, "12.50", "NaN", "2026-01-02 03:04:05.678+00",
        "1969-12-31 23:59:59+00", b"\x00\xff", b"\x00\xff", "Anne", '{"city": "Graz", "no": 1.1}',
    )  # fmt: skip


def test_a_document_is_deleted_by_the_messages_key() -> None:
    for id, key in (("1004", 1004), ('{"$oid":"65a1"}', "65a1"), ('"abc"', "abc")):
        assert one({"key": {"id": id}, "value": document(op="d")}, Hints()).key == (key,)


def test_a_part_of_a_document_is_refused() -> None:
    error = refused(document(op="u", updateDescription={"updatedFields": '{"name": "A"}'}), Hints())

    assert "capture.mode" in error.remedy


# ---- what is no envelope ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [
        b"{", b"[]", b"1", b'"text"', b'{"op":"x","source":{}}', b'{"op":"c","source":{"table":"t"}}',
        b'{"op":"c","source":[],"after":{"id":1}}', b'{"op":"c","source":{"table":"t"},"after":[1]}', b'{"payload":3}',
        b'{"id":1}', b"\xff", b'{"op":"c","source":{"table":"t"},"after":{"id":"\xff"}}', b'{"a":' + b"[" * 100_000,
        b'{"op":"c","source":{"table":"t"},"after":{"id":"\\u0000"}}',
        b'{"op":"c","source":{"table":"t"},"after":{"id":"' + b"k" * 2000 + b'"}}',
    ],
)  # fmt: skip
def test_what_is_none_is_named(record: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        read(record, BY_ID)

    assert caught.value.step == "read a change record"
    assert caught.value.expected
    assert caught.value.remedy
