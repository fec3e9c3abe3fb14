"""Compressed bodies: however they are cut the same comes out; what is not whole or grows too much is refused early."""

import gzip
import zlib
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import BadRequest
from headrace.server.guard import TooLarge
from headrace.server.inflating import FREE, MOST_RATIO, PIECE, CodingNotTaken, coding_of, inflated

PLENTY = 1 << 30
LINE = b'{"op": "upsert", "table": "t", "key": {"id": 7}, "row": {"id": 7, "name": "Ada"}}\n'


def bare(data: bytes) -> bytes:
    body = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return body.compress(data) + body.flush()


FORMS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", bare),
]


async def chunked(body: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


async def inflate(body: bytes, coding: str = "gzip", size: int = 1000, most: int = PLENTY) -> bytes:
    return b"".join([piece async for piece in inflated(chunked(body, size), coding, most)])


@given(st.binary(max_size=300).map(lambda b: b * 700), st.integers(1, 5000), st.sampled_from(FORMS))
async def test_the_same_comes_out_however_it_is_cut(
    data: bytes, size: int, form: tuple[str, Callable[[bytes], bytes]]
) -> None:
    coding, compress = form

    assert await inflate(compress(data), coding, size) == data


async def test_no_coding_is_handed_on_as_it_comes() -> None:
    assert await inflate(b"as it is", "", 3) == b"as it is"


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5), st.integers(1, 40))
async def test_gzip_of_several_members(members: list[bytes], size: int) -> None:
    assert await inflate(b"".join(map(gzip.compress, members)), size=size) == b"".join(members)


@pytest.mark.parametrize(("coding", "compress"), FORMS)
async def test_one_that_breaks_off_is_refused_wherever_it_does(coding: str, compress: Callable[[bytes], bytes]) -> None:
    whole = compress(LINE)

    for end in range(len(whole)):
        with pytest.raises(BadRequest):
            await inflate(whole[:end], coding)


@pytest.mark.parametrize(("coding", "compress"), FORMS)
@pytest.mark.parametrize("garbage", [b"\n", b"\0\0\0\0", b"more of it", b"\x1f"])
@pytest.mark.parametrize("size", [1, 1000])
async def test_what_stands_behind_the_end_is_refused(
    coding: str, compress: Callable[[bytes], bytes], garbage: bytes, size: int
) -> None:
    with pytest.raises(BadRequest) as caught:
        await inflate(compress(LINE) + garbage, coding, size)

    assert caught.value.expected.startswith("nothing behind")


async def test_what_is_not_compressed_is_refused() -> None:
    for coding in ("gzip", "deflate"):
        with pytest.raises(BadRequest):
            await inflate(LINE, coding)


async def test_a_changed_byte_is_noticed() -> None:
    """gzip carries a checksum."""
    body = bytearray(gzip.compress(LINE))
    body[-8] ^= 1

    with pytest.raises(BadRequest):
        await inflate(bytes(body))


async def test_a_bomb_is_refused_before_it_has_grown() -> None:
    bomb = gzip.compress(b"a" * (64 << 20))
    pieces: list[int] = []

    async def read() -> None:
        async for piece in inflated(chunked(bomb, 4096), "gzip", PLENTY):
            pieces.append(len(piece))

    with pytest.raises(TooLarge):
        await read()

    assert sum(pieces) <= max(FREE, MOST_RATIO * 8192)
    assert max(pieces) <= PIECE


async def test_a_bomb_of_many_members_is_refused() -> None:
    with pytest.raises(TooLarge):
        await inflate(gzip.compress(b"\n" * (1 << 20)) * 200)


async def test_a_body_may_inflate_to_the_limit_and_no_further() -> None:
    body = gzip.compress(b"".join(b"%d\n" % n for n in range(50_000)))
    size = len(gzip.decompress(body))

    assert len(await inflate(body, most=size)) == size
    with pytest.raises(TooLarge):
        await inflate(body, most=size - 1)


@pytest.mark.parametrize(
    ("said", "coding"),
    [("gzip", "gzip"), ("x-gzip", "gzip"), (" GZIP ", "gzip"), ("deflate", "deflate"), ("identity", ""), ("", "")],
)
def test_the_codings_that_are_taken(said: str, coding: str) -> None:
    assert coding_of({"content-encoding": said}) == coding
    assert coding_of({}) == ""


@pytest.mark.parametrize("said", ["br", "zstd", "gzip, gzip", "compress", "gzip;q=1"])
def test_another_coding_is_refused_naming_those_that_are_taken(said: str) -> None:
    with pytest.raises(CodingNotTaken) as caught:
        coding_of({"content-encoding": said})

    assert "gzip, deflate" in caught.value.expected
