"""A push's body as records: however its bytes are cut, the same lines come out; one that is too long is cut."""

import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import BadRequest
from headrace.server.records import EVENT, EVENTS, PART_RECORDS, NotTaken, Record, media_type, parts

NDJSON = "application/x-ndjson"


async def chunked(body: bytes, sizes: list[int]) -> AsyncIterator[bytes]:
    at = 0
    for size in sizes:
        yield body[at : at + size]
        at += size
    yield body[at:]


async def records(
    body: bytes, kind: str = NDJSON, sizes: list[int] | None = None, longest: int = 1000, **headers: str
) -> list[Record]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return [r async for part in parts(chunked(body, sizes or []), kind, named, longest) for r in part]


@given(
    st.lists(st.text(st.characters(exclude_characters="\n\r\x1e", exclude_categories=["Cs"]), max_size=30)),
    st.lists(st.integers(0, 40)),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
async def test_lines_do_not_depend_on_how_they_come(lines: list[str], sizes: list[int], end: str, ended: bool) -> None:
    body = (end.join(lines) + (end if ended else "")).encode()

    found = await records(body, sizes=sizes)

    assert [r.data for r in found] == [line.strip(" \t\r").encode() for line in lines if line.strip(" \t\r")]
    assert not any(r.cut for r in found)


async def test_a_line_that_is_too_long_is_cut_and_the_next_one_is_whole() -> None:
    body = b"a" * 5000 + b"\n" + b"b" * 2000 + b"\n{}"

    found = await records(body, sizes=[700] * 10, longest=2000)

    assert [(len(r.data), r.size, r.cut) for r in found] == [(1000, 5000, True), (2000, 2000, False), (2, 2, False)]


async def test_parts_are_bounded() -> None:
    body = b"{}\n" * (2 * PART_RECORDS + 7)

    found = [len(part) async for part in parts(chunked(body, []), NDJSON, {}, 1000)]

    assert found == [PART_RECORDS, PART_RECORDS, 7]


async def test_a_record_separator_before_each_record() -> None:
    assert [r.data for r in await records(b'\x1e{"a":1}\n\x1e{"b":2}\n', "application/json-seq")] == [
        b'{"a":1}',
        b'{"b":2}',
    ]


async def test_one_object_or_an_array_of_them() -> None:
    assert [r.data for r in await records(b' {"a": 1.10} ', "application/json")] == [b' {"a": 1.10} ']
    assert [r.data for r in await records(b'[{"a": 1.10}, 2]', "application/json")] == [b'{"a": 1.10}', b"2"]
    assert await records(b"[]", "application/json") == []


async def test_an_event_in_binary_mode() -> None:
    (record,) = await records(b'{"a":1}', "application/json", ce_specversion="1.0", ce_id="7")

    assert json.loads(record.data) == {
        "specversion": "1.0", "id": "7", "datacontenttype": "application/json", "data": {"a": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/json"),
        (b"1", "application/json"),
        (b'{"a":', "application/json"),
        (b"[{}", "application/json"),
        (b"[{}] x", "application/json"),
        (b"{} {}", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"{}", EVENTS),
        (b"[{}]", EVENT),
    ],
)
async def test_a_body_that_is_no_json_is_the_requests_fault(body: bytes, kind: str) -> None:
    with pytest.raises(BadRequest):
        await records(body, kind)


def test_what_a_body_is_said_to_be() -> None:
    assert media_type({"content-type": "Application/JSON; charset=utf-8"}) == "application/json"
    assert media_type({}) == "application/json"
    with pytest.raises(NotTaken):
        media_type({"content-type": "text/csv"})
