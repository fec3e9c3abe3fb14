"""Forms as they come, however they are cut, and what is no form."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import BadRequest
from headrace.server.forms import LONGEST_FIELD, Field, FileBegin, FileData, FileEnd, Part, form, is_form

HEADERS = {"content-type": 'multipart/form-data; boundary="xyz"'}


def field(name: str, value: bytes) -> bytes:
    return b'--xyz\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), value)


def file(name: bytes, data: bytes) -> bytes:
    head = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\nContent-Type: text/plain\r\n\r\n'
    return head % name + data + b"\r\n"


END = b"--xyz--\r\n"


async def chunked(data: bytes, size: int) -> AsyncIterator[bytes]:
    for n in range(0, len(data), size):
        yield data[n : n + size]


async def read(data: bytes, size: int = 65_536, headers: dict[str, str] | None = None) -> list[Part]:
    return [part async for part in form(chunked(data, size), headers or HEADERS)]


def files(parts: list[Part]) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    ended = True
    for part in parts:
        match part:
            case FileBegin():
                assert ended
                found.append((part.name, b""))
                ended = False
            case FileData():
                found[-1] = (found[-1][0], found[-1][1] + part.data)
            case FileEnd():
                ended = True
            case Field():
                assert ended
    assert ended
    return found


@given(
    contents=st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    size=st.integers(min_value=1, max_value=200),
    value=st.text(st.characters(codec="utf-8"), max_size=60),
)
async def test_files_and_fields_come_whole_however_the_body_is_cut(
    contents: list[bytes], size: int, value: str
) -> None:
    if any(b"\r\n--xyz" in b"\r\n" + c for c in (*contents, value.encode())):
        return  # a client chooses a boundary that its contents do not have
    body = field("title", value.encode()) + b"".join(file(b"f%d" % n, c) for n, c in enumerate(contents)) + END

    parts = await read(body, size)

    assert parts[0] == Field("title", value)
    assert files(parts) == [(f"f{n}", c) for n, c in enumerate(contents)]


async def test_names_are_read_as_browsers_write_them() -> None:
    body = file("kä%22se%0A.md".encode(), b"x") + file(rb"a\"b.md", b"y") + END

    assert files(await read(body)) == [('kä"se\n.md', b"x"), ('a"b.md', b"y")]


@pytest.mark.parametrize(
    ("body", "got"),
    [
        (b"", "the end of the body"),
        (file(b"a", b"x"), "the end of the body"),
        (file(b"a", b"x")[:-20], "the end of the body"),
        (b"no form at all", ""),
        (b"--xyz\r\nContent-Type: text/plain\r\n\r\nx\r\n" + END, "''"),
        (b"--xyz\r\nContent-Disposition: attachment\r\n\r\nx\r\n" + END, "attachment"),
        (file(b"\xff\xfe", b"x") + END, ""),
        (field("title", b"\xff") + END, ""),
        (field("title", b"x" * (LONGEST_FIELD + 1)) + END, "a longer one"),
        (b"--xyz\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(100_000)) + b"\r\n", ""),
        (b"--xyz\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n", ""),
    ],
)
async def test_what_is_no_whole_form_is_refused(body: bytes, got: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await read(body)

    assert got in caught.value.got


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; b=" + "x" * 9]
)
async def test_without_a_boundary_there_is_no_form(kind: str) -> None:
    assert is_form({"content-type": kind})
    with pytest.raises(BadRequest):
        await read(file(b"a", b"x") + END, headers={"content-type": kind})


async def test_a_boundary_that_is_too_long_is_refused() -> None:
    with pytest.raises(BadRequest):
        await read(END, headers={"content-type": "multipart/form-data; boundary=" + "x" * 5000})


async def test_too_many_parts_are_refused() -> None:
    with pytest.raises(BadRequest, match="at most"):
        await read(field("a", b"") * 10_001 + END)
