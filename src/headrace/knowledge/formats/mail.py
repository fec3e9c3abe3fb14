"""Mail (RFC 5322): its headers, its text, and what is attached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email import policy
from email.errors import MessageError
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import getaddresses

from headrace.errors import BadInput
from headrace.knowledge.dates import stated
from headrace.knowledge.formats.html import of_text
from headrace.knowledge.formats.text import decode, name_of
from headrace.knowledge.parsed import Draft, File, Parsed, Reasons, TooMuch
from headrace.metadata import Metadata, metadata_of, time_text_us

HEADERS = ("From", "To", "Cc", "Date")
_PEOPLE = ("From", "To", "Cc", "Reply-To")
_LONGEST = 16_384
"""Characters of a header in which addresses are looked for: more than are kept."""
_MESSAGE = "message/rfc822"
_BROKEN = (MessageError, ValueError, IndexError, AttributeError, TypeError, KeyError)
"""What the library raises for what is out of form."""
_WORDS = ("Subject", "Message-ID", "In-Reply-To", "List-ID")


def parse(file: File) -> Parsed:
    message = BytesParser(_Mail, policy=policy.default).parsebytes(file.content)
    draft = Draft(file)
    said = {name: header(message, name) for name in dict.fromkeys((*HEADERS, *_PEOPLE, *_WORDS))}
    subject = said["Subject"]
    draft.add(f"# {subject}\n\n" if subject else "")
    draft.add("".join(f"{n}: {v}\n" for n in HEADERS if (v := said[n])) + "\n")
    reasons = Reasons()
    attached: list[tuple[str, bytes]] = []
    for part in _leaves(message, 0):
        if part.get_content_type() == _MESSAGE:
            attached.append(_forwarded(part, len(attached) + 1))
        elif part.get_filename() or part.get_content_disposition() == "attachment":
            attached.append((_filename(part, len(attached) + 1), _payload(part)))
        elif part.get_content_maintype() == "text":
            draft.add(_text(file, part, reasons))
    for name, content in attached:
        attach(file, draft, reasons, name, content)
    draft.add("\n".join(reasons.lines))
    dated = stated(said["Date"])
    return draft.done(subject or name_of(file.path), dated=dated, metadata=_metadata(said, dated))


def _metadata(headers: Mapping[str, str], dated: int | None) -> Metadata:
    """Of people their addresses."""
    people = {name: _addresses(headers[name]) for name in _PEOPLE}
    said: dict[str, object] = {n: a[0] if len(a) == 1 else a for n, a in people.items()}
    return metadata_of({**said, **{n: headers[n] for n in _WORDS}, "date": time_text_us(dated)})


def _addresses(text: str) -> list[str]:
    """Where none can be told apart, what is written."""
    return [address for _, address in getaddresses([text[:_LONGEST]]) if "@" in address] or [text]


def attach(file: File, draft: Draft, reasons: Reasons, name: str, content: bytes, *, named: bool = True) -> None:
    """An attachment's text under its name (`named`: said in the text); one that cannot be read is named with the
    reason."""
    file.member(len(content))
    try:
        part = file.nested(file, name, content)
    except TooMuch:
        raise
    except BadInput as error:
        reasons.add(name, error)
        return
    draft.add(f"## {name}\n\n" if named else "")
    draft.take(part, name)
    draft.add("\n\n")


class _Mail(EmailMessage):
    """The parser makes parts of the same kind."""


def header(message: EmailMessage, name: str) -> str:
    """A header's words; one that is out of form as it is written."""
    try:
        value = message.get(name)
    except _BROKEN:
        value = next((v for k, v in message.raw_items() if k.lower() == name.lower()), "")
    return " ".join(str(value or "").encode("utf-8", "replace").decode().split())


def _leaves(message: EmailMessage, depth: int) -> Iterator[EmailMessage]:
    """Parts that hold something; of alternatives the plain text, unless there is only HTML."""
    if depth > 20:
        return
    if message.get_content_type() == "multipart/alternative":
        parts = [p for p in message.iter_parts() if isinstance(p, EmailMessage)]
        chosen = [p for p in parts if p.get_content_type() == "text/plain" and _payload(p).strip()]
        for part in chosen[:1] or parts[-1:]:
            yield from _leaves(part, depth + 1)
    elif message.get_content_type() == _MESSAGE and message.is_multipart():
        yield message
    elif message.is_multipart():
        for part in message.iter_parts():
            if isinstance(part, EmailMessage):
                yield from _leaves(part, depth + 1)
    else:
        yield message


def _forwarded(part: EmailMessage, number: int) -> tuple[str, bytes]:
    """A message in a message: its name, and itself."""
    inner = next(part.iter_parts(), None)
    content = b""
    if isinstance(inner, EmailMessage):
        try:
            content = inner.as_bytes()
        except _BROKEN:
            content = str(inner.get_payload()).encode("utf-8", "replace")
    name = _filename(part, number)
    return name if name.lower().endswith(".eml") else name + ".eml", content


def _payload(part: EmailMessage) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _text(file: File, part: EmailMessage, reasons: Reasons) -> str:
    charset = part.get_content_charset()
    try:
        text = decode(file.path, _payload(part), charset)
    except BadInput as error:
        text = _payload(part).decode("utf-8", "replace").replace("\0", "")
        reasons.add("part of the text", error)
    if part.get_content_subtype() == "html":
        text = of_text(text).text
    return text.replace("\r\n", "\n").strip() + "\n\n"


def _filename(part: EmailMessage, number: int) -> str:
    name = " ".join((part.get_filename() or "").split()).replace("\0", "")
    return name or f"attachment {number}"
