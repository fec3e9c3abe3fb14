"""A multipart form as it comes (RFC 7578): its fields whole, its files piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from headrace.errors import BadRequest

FORM = "multipart/form-data"
LONGEST_FIELD = 65_536
"""Bytes."""
MOST_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FileBegin:
    """`name` as the client gave it, unchecked."""

    name: str


@dataclass(frozen=True, slots=True)
class FileData:
    data: bytes


@dataclass(frozen=True, slots=True)
class FileEnd:
    pass


Part = Field | FileBegin | FileData | FileEnd


def is_form(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


async def form(chunks: AsyncIterator[bytes], headers: Mapping[str, str]) -> AsyncIterator[Part]:
    """Raises BadRequest for what is no form, or not a whole one."""
    _, options = parse_options_header(headers.get("content-type", ""))
    if not options.get(b"boundary"):
        raise _bad("a boundary in the Content-Type", "none")
    reader = _Reader(options[b"boundary"])
    async for chunk in chunks:
        for part in reader.add(chunk):
            yield part
    reader.end()


class _Reader:
    """Turns the parser's calls into parts."""

    def __init__(self, boundary: bytes) -> None:
        self._found: list[Part] = []
        self._headers: dict[str, bytes] = {}
        self._header_name = b""
        self._header_value = b""
        self._field = ""
        self._value = bytearray()
        self._is_file = False
        self._parts = 0
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._name,
                    "on_header_value": self._content,
                    "on_header_end": self._header,
                    "on_headers_finished": self._headers_end,
                    "on_part_data": self._data,
                    "on_part_end": self._part_end,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _bad("a boundary that can be used", str(error)[:100]) from None

    def add(self, chunk: bytes) -> list[Part]:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _bad("parts between boundaries", str(error)[:200]) from None
        found, self._found = self._found, []
        return found

    def end(self) -> None:
        if not self._ended:
            raise _bad("the boundary that ends the form", "the end of the body before it")

    # ---- what the parser calls ---------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise _bad(f"at most {MOST_PARTS} parts", "more")
        self._headers.clear()
        self._header_name = self._header_value = b""
        self._value.clear()

    def _name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _content(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header(self) -> None:
        self._headers[self._header_name.decode("latin-1").lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _headers_end(self) -> None:
        said = self._headers.get("content-disposition", b"").decode("latin-1")
        kind, options = parse_options_header(said)
        if kind != b"form-data" or b"name" not in options:
            raise _bad("a Content-Disposition of form-data with a name", repr(said[:100]))
        self._field = _text(options[b"name"])
        self._is_file = b"filename" in options
        if self._is_file:
            self._found.append(FileBegin(_unescaped(_text(options[b"filename"]))))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._found.append(FileData(data[start:end]))
            return
        self._value += data[start:end]
        if len(self._value) > LONGEST_FIELD:
            raise _bad(f"fields of at most {LONGEST_FIELD} bytes", f"a longer one, {self._field[:60]}")

    def _part_end(self) -> None:
        self._found.append(FileEnd() if self._is_file else Field(self._field, _text(bytes(self._value))))

    def _end(self) -> None:
        self._ended = True


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _bad("names and fields in UTF-8", repr(data[:60])) from None


def _unescaped(name: str) -> str:
    """What browsers escape in a file's name, and nothing else."""
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _bad(expected: str, got: str) -> BadRequest:
    return BadRequest(
        step="read the form",
        expected=expected,
        got=got,
        remedy="Send multipart/form-data as curl -F file=@NAME does, or the file alone as the body, with ?name=.",
    )
