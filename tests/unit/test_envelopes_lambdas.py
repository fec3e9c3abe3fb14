"""Events of AWS Lambda: the records inside come out as they were sent, and what is no event is left alone."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from headrace.change import Op
from headrace.envelopes import Hints
from headrace.envelopes.lambdas import unwrapped
from headrace.envelopes.read import read
from headrace.errors import BadInput
from headrace.server.records import parts

SOURCE = {"connector": "postgresql", "schema": "public", "table": "people", "ts_us": 1767323045678901}
NONE: dict[str, object] = {}
ENVELOPE = {"op": "c", "source": SOURCE, "after": {"id": 3, "name": "Ada"}}


def b64(value: object) -> str:
    return base64.b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).decode()


def inside(event: object) -> list[bytes]:
    found = unwrapped(json.dumps(event).encode())
    assert found is not None
    return found


def kinesis(data: str, key: str = "p") -> dict[str, Any]:
    inner = {"partitionKey": key, "data": data, "sequenceNumber": "4954", "kinesisSchemaVersion": "1.0"}
    return {"eventSource": "aws:kinesis", "eventID": "shardId-000000000000:4954", "kinesis": inner}


def kafka(key: object, value: object, **more: object) -> dict[str, Any]:
    sides = {n: v if v is None else b64(v) for n, v in (("key", key), ("value", value))}
    return {"topic": "shop.public.people", "partition": 0, "offset": 15, "timestamp": 1767323045678, **sides, **more}


def msk(*records: dict[str, Any]) -> dict[str, Any]:
    return {"eventSource": "aws:kafka", "bootstrapServers": "b-1:9092", "records": {"shop.public.people-0": [*records]}}


def test_kinesis_with_the_key_as_partition_key() -> None:
    (record,) = inside({"Records": [kinesis(b64(ENVELOPE), '{"id": 3}')]})

    (draft,) = read(record, Hints()).drafts

    assert (draft.table, draft.op, draft.key, draft.after) == ("public.people", Op.CREATE, (3,), (3, "Ada"))


def test_kinesis_with_records_of_dms() -> None:
    sent = {"metadata": {"record-type": "data", "operation": "load", "table-name": "t"}, "data": {"id": 1}}

    assert [json.loads(r) for r in inside({"Records": [kinesis(b64(sent), "sales.t"), kinesis(b64(sent))]})] == [
        sent
    ] * 2


def test_kafka_with_keys_headers_and_a_tombstone() -> None:
    other = list(b'{"id": 2}')
    gone = {"op": "d", "source": SOURCE, "before": {"id": 2, "name": None}}
    event = msk(
        kafka({"id": 2}, gone, headers=[{"__debezium.newkey": list(b'{"id": 3}')}]),
        kafka({"id": 2}, None, headers=[]),
        kafka({"id": 3}, ENVELOPE, headers=[{"__debezium.oldkey": other}, {"x": [-61, -87]}]),
    )

    records = inside(event)
    drafts = [read(r, Hints()).drafts for r in records]

    assert [[(d.op, d.key, d.other_key) for d in found] for found in drafts] == [
        [(Op.DELETE, (2,), (3,))], [], [(Op.CREATE, (3,), (2,))],
    ]  # fmt: skip
    assert json.loads(records[2])["headers"][1] == ["x", "é"]
    assert json.loads(records[0])["topic"] == "shop.public.people"


def test_a_kafka_key_that_is_no_json_is_text() -> None:
    (record,) = inside({**msk(kafka(b"seven", ENVELOPE)), "eventSource": "SelfManagedKafka"})

    assert json.loads(record)["key"] == "seven"


def test_firehose_sqs_and_sns() -> None:
    text = json.dumps(ENVELOPE)
    firehose = {
        "invocationId": "i",
        "deliveryStreamArn": "a",
        "region": "r",
        "records": [{"recordId": "1", "data": b64(ENVELOPE)}],
    }
    sqs = {"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": text}]}
    sns = {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": text}}]}

    assert [inside(e) for e in (firehose, sqs, sns)] == [[text.encode()]] * 3


def test_what_cannot_be_opened_is_refused_alone() -> None:
    broken = [kinesis("*"), {"eventSource": "aws:sqs"}, {"eventSource": "aws:sns", "Sns": NONE}]

    records = inside({"Records": [*broken, kinesis(b64(ENVELOPE), '{"id": 3}')]})

    for record in records[:3]:
        with pytest.raises(BadInput):
            read(record, Hints())
    assert len(read(records[3], Hints()).drafts) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"op": "upsert", "table": "t", "row": {"Records": [1]}},
        {"Records": []},
        {"Records": [1]},
        {"Records": "x"},
        {"Records": [{"eventSource": "aws:s3", "s3": NONE}]},
        {"Records": [{"eventSource": "aws:dynamodb", "dynamodb": NONE}]},
        {"eventSource": "aws:kafka", "records": []},
        {"eventSource": "aws:kafka", "records": {"t-0": 7}},
        {"invocationId": "i", "records": NONE},
        [kinesis("e30=")],
    ],
)
def test_what_is_no_such_event_is_left_alone(body: object) -> None:
    assert unwrapped(json.dumps(body).encode()) is None


async def test_a_body_that_is_an_event_is_its_records() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield json.dumps({"Records": [kinesis(b64(ENVELOPE)), kinesis(b64({"a": 1}))]}).encode()

    found = [r.data async for part in parts(chunks(), "application/json", {}, 1000) for r in part]

    assert [json.loads(data) for data in found] == [ENVELOPE, {"a": 1}]
