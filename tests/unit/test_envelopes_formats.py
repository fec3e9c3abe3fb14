"""The other formats of change records: DMS, CloudEvents, rows that Debezium flattened, plain upserts and deletes."""

import base64
import json
from typing import Any

import pytest

from headrace.change import Op
from headrace.envelopes import ChangeDraft, Decoded, Hints
from headrace.envelopes.cloudevents import from_headers
from headrace.envelopes.read import read
from headrace.errors import BadInput

BY_ID = Hints(key=("id",))


def decoded(record: object, hints: Hints = BY_ID) -> Decoded:
    return read(json.dumps(record).encode(), hints)


def one(record: object, hints: Hints = BY_ID) -> ChangeDraft:
    (draft,) = decoded(record, hints).drafts
    return draft


def refused(record: object, hints: Hints = BY_ID) -> BadInput:
    with pytest.raises(BadInput) as caught:
        decoded(record, hints)
    return caught.value


# ---- plain -----------------------------------------------------------------------------------------------------------


def test_a_plain_upsert_and_delete() -> None:
    put = {"op": "upsert", "table": "customers", "key": {"id": 7}, "row": {"id": 7, "name": "Ada"}}

    came = one({**put, "at": "2026-01-02T03:04:05Z"}, Hints())
    gone = one({"op": "delete", "table": "customers", "key": {"id": 7}}, Hints())
    ended = one({"op": "delete", "table": "customers", "key": {"id": 7}, "before": {"id": 7, "name": "Ada"}}, Hints())

    assert (came.table, came.op, came.key_columns, came.key) == ("customers", Op.UPDATE, ("id",), (7,))
    assert (came.after, came.committed_at) == ((7, "Ada"), 1767323045000000)
    assert (gone.op, gone.key, gone.after, gone.committed_at) == (Op.DELETE, (7,), None, None)
    assert (ended.op, ended.key, ended.before) == (Op.DELETE, (7,), (7, "Ada"))


def test_a_key_outside_of_the_row_is_a_column_too() -> None:
    draft = one({"op": "upsert", "table": "t", "key": {"id": 7}, "row": {"name": "Ada"}}, Hints())

    assert [c.name for c in draft.columns] == ["id", "name"]
    assert draft.after == (7, "Ada")


def test_a_plain_record_may_leave_the_key_to_the_sender() -> None:
    assert one({"op": "upsert", "table": "t", "row": {"id": 7}}).key == (7,)
    assert one({"op": "delete", "table": "t", "row": {"id": 7}}).key == (7,)
    assert one({"op": "truncate", "table": "t"}, Hints()).op is Op.TRUNCATE


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"op": "upsert", "row": {"id": 1}}, "the table"),
        ({"op": "upsert", "table": "t"}, "a `row`"),
        ({"op": "merge", "table": "t", "row": {"id": 1}}, "op of upsert"),
        ({"op": "upsert", "table": "t", "row": [1]}, "`row` as an object"),
        ({"op": "upsert", "table": "t", "row": {"id": 1}, "at": "noon"}, "RFC 3339"),
        ({"op": "upsert", "table": "t", "rows": {"id": 1}}, "members"),
        ({"op": "upsert", "table": "t", "row": {"name": "Ada"}}, "key's column id"),
        ({"op": "upsert", "table": "t", "row": {"id": None}}, "key's column id"),
    ],
)
def test_a_plain_record_that_is_none_is_named(record: object, expected: str) -> None:
    assert expected in refused(record).expected


# ---- DMS -------------------------------------------------------------------------------------------------------------


def dms(operation: str, data: object = None, *, kind: str = "data") -> dict[str, Any]:
    metadata = {
        "timestamp": "2026-01-02T03:04:05.5670Z", "record-type": kind, "operation": operation,
        "partition-key-type": "schema-table", "schema-name": "sales", "table-name": "orders", "transaction-id": 47330,
    }  # fmt: skip
    return {"metadata": metadata, **({} if data is None else {"data": data})}


def test_dms_load_insert_update_delete() -> None:
    for operation, op in (("load", Op.READ), ("insert", Op.CREATE), ("update", Op.UPDATE)):
        draft = one(dms(operation, {"id": 1, "price": 36}))
        assert (draft.table, draft.op, draft.key, draft.after) == ("sales.orders", op, (1,), (1, 36))
        assert (draft.committed_at, draft.transaction) == (1767323045567000, 47330)
    gone = one(dms("delete", {"id": 1, "price": 36}))
    assert (gone.op, gone.key, gone.before, gone.after) == (Op.DELETE, (1,), (1, 36), None)


def test_dms_numbers_keep_their_digits() -> None:
    record = b'{"metadata":{"record-type":"data","operation":"insert","table-name":"t"},"data":{"id":1,"price":36.10}}'

    (draft,) = read(record, BY_ID).drafts

    assert draft.after == (1, "36.10")


def test_dms_with_the_image_before_a_changed_key() -> None:
    both = {**dms("update", {"id": 2, "n": "a"}), "before-image": {"id": 1}}

    gone, came = decoded(both).drafts

    assert (gone.op, gone.key, gone.before) == (Op.DELETE, (1,), (1, None))
    assert (came.op, came.key, came.after) == (Op.CREATE, (2,), (2, "a"))


def test_dms_control_records() -> None:
    assert decoded(dms("create-table", kind="control"), Hints()).drafts == ()
    assert one(dms("drop-table", kind="control"), Hints()).op is Op.TRUNCATE
    assert one(dms("truncate-table", kind="control"), Hints()).op is Op.TRUNCATE
    assert "control operation" in refused(dms("rename-table", kind="control"), Hints()).expected


def test_dms_never_names_the_key() -> None:
    assert "primary key" in refused(dms("insert", {"id": 1}), Hints()).expected
    assert "a row in `data`" in refused(dms("insert")).expected
    assert "operation" in refused(dms("merge", {"id": 1})).expected


# ---- CloudEvents -----------------------------------------------------------------------------------------------------


def event(data: object, **more: object) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": "e1", "source": "/shop", "type": "shop.changed", "time": "2026-01-02T03:04:05Z",
        "data": data, **more,
    }  # fmt: skip


PLAIN = {"op": "upsert", "table": "customers", "key": {"id": 7}, "row": {"id": 7}}


def test_an_event_carries_a_record_and_is_known_by_source_and_id() -> None:
    came = decoded(event(PLAIN), Hints())

    assert came.id == "/shop\0e1"
    (draft,) = came.drafts
    assert (draft.table, draft.key, draft.committed_at) == ("customers", (7,), 1767323045000000)


def test_an_events_time_does_not_hide_the_records_own() -> None:
    assert one(event({**PLAIN, "at": "2020-01-01T00:00:00Z"}), Hints()).committed_at == 1577836800000000


def test_data_as_base64_or_as_text() -> None:
    encoded = event(None, data_base64=base64.b64encode(json.dumps(PLAIN).encode()).decode())

    assert one(encoded, Hints()).key == (7,)
    assert one(event(json.dumps(PLAIN)), Hints()).key == (7,)


def test_an_event_of_debeziums_converter() -> None:
    attributes = {
        "iodebeziumop": "u", "iodebeziumconnector": "postgresql", "iodebeziumname": "shop", "iodebeziumdb": "postgres",
        "iodebeziumschema": "s1", "iodebeziumtable": "a", "iodebeziumtsms": "1578923739738", "iodebeziumtxid": "565",
        "iodebeziumxmin": None,
    }  # fmt: skip

    draft = one(event({"before": None, "after": {"id": 1, "name": "Bob"}}, **attributes))

    assert (draft.table, draft.op, draft.after) == ("s1.a", Op.UPDATE, (1, "Bob"))
    assert (draft.committed_at, draft.transaction) == (1578923739738000, 565)


def test_debeziums_converter_with_a_schema() -> None:
    columns = [{"type": "int32", "name": "io.debezium.time.Date", "field": "id"}]
    schema = {"type": "struct", "fields": [{"type": "struct", "field": "after", "fields": columns}]}
    data = {"schema": schema, "payload": {"before": None, "after": {"id": 20455}}}

    draft = one(event(data, iodebeziumop="c", iodebeziumtable="a", iodebeziumdb="s"))

    assert (draft.table, draft.key) == ("s.a", ("2026-01-02",))


def test_binary_mode_is_the_same_event() -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "e1",
        "ce-source": "/shop",
        "ce-type": "t",
        "content-type": "application/json",
    }

    came = read(from_headers(headers, json.dumps(PLAIN).encode()), Hints())

    assert came.id == "/shop\0e1"
    assert came.drafts[0].key == (7,)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (event({"id": 1}), "a change record of a known format"),
        (event(None), "a CloudEvent with data"),
        (event(PLAIN, specversion="0.3"), "specversion 1.0"),
        (event(PLAIN, id=""), "`id`"),
        (event("AAAA", datacontenttype="application/avro"), "application/json"),
        (event([1]), "data that is an object"),
    ],
)
def test_an_event_that_carries_no_change_is_named(record: object, expected: str) -> None:
    assert expected in refused(record).expected


# ---- flattened -------------------------------------------------------------------------------------------------------


def test_a_flattened_row() -> None:
    row = {"id": 7, "name": "Ada", "__op": "c", "__table": "t", "__schema": "public", "__source_ts_ms": 1767323045000}

    draft = one(row)

    assert (draft.table, draft.op, draft.committed_at) == ("public.t", Op.CREATE, 1767323045000000)
    assert [c.name for c in draft.columns] == ["id", "name"]


def test_a_flattened_delete_is_rewritten_or_a_tombstone() -> None:
    by_mark = one({"id": 7, "name": None, "__deleted": "true"}, Hints(table="t", key=("id",)))
    tombstone = {"topic": "shop.public.t", "key": {"id": 7}, "value": None}
    by_tombstone = one(tombstone, Hints(format="flattened"))

    assert (by_mark.op, by_mark.key) == (Op.DELETE, (7,))
    assert (by_tombstone.op, by_tombstone.key, by_tombstone.table) == (Op.DELETE, (7,), "public.t")


def test_a_bare_row_is_one_only_when_the_sender_says_so() -> None:
    row = {"id": 7, "__mine": 1}

    assert one(row, Hints("flattened", "t", ("id",))).after == (7, 1)
    assert "known format" in refused(row).expected


def test_a_flattened_message_has_its_table_from_the_topic() -> None:
    draft = one({"topic": "shop.public.t", "key": {"id": 7}, "value": {"id": 7, "__deleted": "false"}}, Hints())

    assert (draft.table, draft.op, draft.key_columns) == ("public.t", Op.UPDATE, ("id",))


def test_a_row_whose_columns_are_named_as_a_messages_parts() -> None:
    by_name = Hints("flattened", "settings", ("key",))

    assert one({"key": "color", "value": "blue"}, by_name).after == ("color", "blue")
    assert one({"key": "color", "value": None}, by_name).after == ("color", None)
    assert one({"key": "color", "value": "blue", "__op": "c"}, Hints(table="s", key=("key",))).key == ("color",)
