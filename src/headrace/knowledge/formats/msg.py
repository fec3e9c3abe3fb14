"""Outlook's .msg: its headers, its text, and what is attached ([MS-OXMSG] 2)."""

from __future__ import annotations

import struct

from headrace.knowledge.formats.compound import Compound, read
from headrace.knowledge.formats.html import of_text
from headrace.knowledge.formats.mail import attach
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.parsed import Draft, File, Parsed, Reasons
from headrace.metadata import Metadata, keywords_of, metadata_of, time_text_us

_HEADERS = (("From", "0C1A"), ("To", "0E04"), ("Cc", "0E03"))
_SUBJECT, _BODY, _HTML = "0037", "1000", "1013"
_LONG_NAME, _SHORT_NAME, _DATA = "3707", "3704", "3701"
_TIMES = (0x0039, 0x0E06)  # submitted, delivered
_TIME_TYPE = 0x0040
_EPOCH_1601_US = 11_644_473_600_000_000


def parse(file: File) -> Parsed:
    return read(file, "an Outlook message", lambda compound: _Message(file, compound).read())


class _Message:
    def __init__(self, file: File, compound: Compound) -> None:
        self._file = file
        self._compound = compound

    def read(self) -> Parsed:
        subject = self._text("", _SUBJECT)
        draft = Draft(self._file)
        draft.add(f"# {subject}\n\n" if subject else "")
        draft.add("".join(f"{name}: {v}\n" for name, tag in _HEADERS if (v := self._text("", tag))) + "\n")
        body = self._text("", _BODY) or of_text(self._bytes("", _HTML).decode("utf-8", "replace")).text
        draft.add(body.replace("\r\n", "\n").strip() + "\n\n")
        reasons = Reasons()
        attachments = sorted({e[0] for e in self._compound.names() if e[0].startswith("__attach_version1.0_")})
        for n, folder in enumerate(attachments, 1):
            name = self._text(folder + "/", _LONG_NAME) or self._text(folder + "/", _SHORT_NAME) or f"attachment {n}"
            attach(self._file, draft, reasons, name, self._bytes(folder + "/", _DATA))
        draft.add("\n".join(reasons.lines))
        dated = self._dated()
        return draft.done(subject or name_of(self._file.path), dated=dated, metadata=self._metadata(subject, dated))

    def _metadata(self, subject: str, dated: int | None) -> Metadata:
        people = {name: keywords_of(self._text("", tag)) for name, tag in _HEADERS}
        said = {name: found[0] if len(found) == 1 else found for name, found in people.items()}
        return metadata_of({**said, "subject": subject, "date": time_text_us(dated)})

    def _text(self, folder: str, tag: str) -> str:
        wide = self._stream(f"{folder}__substg1.0_{tag}001F")
        if wide is not None:
            return wide.decode("utf-16-le", "replace").strip("\0").strip()
        narrow = self._stream(f"{folder}__substg1.0_{tag}001E")
        return narrow.decode("cp1252", "replace").strip("\0").strip() if narrow else ""

    def _bytes(self, folder: str, tag: str) -> bytes:
        return self._stream(f"{folder}__substg1.0_{tag}0102") or b""

    def _stream(self, name: str) -> bytes | None:
        return self._compound.stream(name) if self._compound.has(name) else None

    def _dated(self) -> int | None:
        """Fixed-length properties: 32 bytes of header, then 16 bytes each: type, id, flags, value."""
        stream = self._stream("__properties_version1.0") or b""
        found: dict[int, int] = {}
        for at in range(32, len(stream) - 15, 16):
            kind, id, _, value = struct.unpack_from("<HHIQ", stream, at)
            if kind == _TIME_TYPE and id in _TIMES:
                found[id] = value // 10 - _EPOCH_1601_US
        return next((found[t] for t in _TIMES if found.get(t, 0) > 0), None)
