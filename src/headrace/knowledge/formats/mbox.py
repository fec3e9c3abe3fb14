"""Mailboxes in one file (RFC 4155): each message under its subject."""

from __future__ import annotations

import re
from collections.abc import Iterator

from headrace.knowledge.detect import MESSAGES
from headrace.knowledge.formats.mail import attach
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.parsed import Draft, File, Parsed, Reasons

_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


def parse(file: File) -> Parsed:
    draft, reasons = Draft(file), Reasons()
    for n, message in enumerate(_messages(file.content), 1):
        attach(file, draft, reasons, f"message {n}.eml", message, named=False)
    draft.add("\n".join(reasons.lines))
    return draft.done(name_of(file.path))


def _messages(content: bytes) -> Iterator[bytes]:
    marks = list(MESSAGES.finditer(content))
    ends = [mark.start() for mark in marks[1:]] + [len(content)]
    for mark, end in zip(marks, ends, strict=True):
        yield _QUOTED.sub(rb"\1", content[mark.end() : end])
