"""What a compound file is, by the names at its root."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.knowledge.compound_names import root_names
from headrace.knowledge.detect import DOC, MSG, PPT, XLS, detect
from tests import documents as make

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.mark.parametrize(
    ("own", "embedded", "media"),
    [
        ("Workbook", "WordDocument", XLS),
        ("Book", "PowerPoint Document", XLS),
        ("WordDocument", "Workbook", DOC),
        ("PowerPoint Document", "WordDocument", PPT),
        ("__properties_version1.0", "EncryptedPackage", MSG),
        ("WordDocument", "EncryptedPackage", DOC),
    ],
)
def test_what_is_embedded_does_not_say_what_a_file_is(own: str, embedded: str, media: str) -> None:
    content = make.compound({f"MBD00A1/{embedded}": b"x", own: b"y"})

    assert root_names(content) == {"MBD00A1", own}
    assert detect("a.bin", content) == media


def test_names_of_a_large_directory_are_told() -> None:
    streams = {f"Stream {n}": b"" for n in range(12)}

    assert root_names(make.compound(streams)) == set(streams)


@pytest.mark.parametrize("sectors", [b"\x0a\0", b"\xff\xff"])
def test_a_directory_that_cannot_be_read_leaves_it_to_the_names_anywhere(sectors: bytes) -> None:
    content = bytearray(make.compound({"WordDocument": b"x"}))
    content[30:32] = sectors

    with pytest.raises(ValueError, match="sectors"):
        root_names(bytes(content))
    assert detect("a.bin", bytes(content)) == DOC


def test_a_directory_in_a_circle_ends() -> None:
    content = bytearray(make.compound({"WordDocument": b"x"}))
    (directory,) = struct.unpack_from("<L", content, 48)
    struct.pack_into("<L", content, 512 + 4 * directory, directory)

    with pytest.raises(ValueError, match="circle"):
        root_names(bytes(content))


@given(st.binary(max_size=3000), st.lists(st.tuples(st.integers(0, 6000), st.integers(0, 255)), max_size=8))
def test_any_bytes_are_told_or_refused(tail: bytes, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(make.compound({"MBD1/Workbook": b"x", "WordDocument": b"y"}))
    for at, value in changes:
        damaged[8 + at % (len(damaged) - 8)] = value

    for content in (MAGIC + tail, bytes(damaged), bytes(damaged[: 600 + len(tail)])):
        assert detect("a.bin", content)
