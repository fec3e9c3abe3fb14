"""What a file is, by its content; only among kinds of text does its name decide."""

from __future__ import annotations

import codecs
import io
import re
import zipfile
import zlib
from itertools import islice
from pathlib import PurePosixPath

from headrace.knowledge.compound_names import root_names
from headrace.knowledge.parsed import PLAIN

MARKDOWN = "text/markdown"
HTML = "text/html"
CODE = "text/x-code"
ZIP = "application/zip"
_OOXML = "application/vnd.openxmlformats-officedocument."
DOCX = _OOXML + "wordprocessingml.document"
PPTX = _OOXML + "presentationml.presentation"
DOC = "application/msword"
PPT = "application/vnd.ms-powerpoint"
XLSX = _OOXML + "spreadsheetml.sheet"
XLSB = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
XLS = "application/vnd.ms-excel"
_ODF = "application/vnd.oasis.opendocument."
ODT = _ODF + "text"
ODP = _ODF + "presentation"
ODS = _ODF + "spreadsheet"
MSG = "application/vnd.ms-outlook"
EPUB = "application/epub+zip"
MBOX = "application/mbox"
ENCRYPTED = "application/encrypted"
EMPTY = "application/x-empty"

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"{\\rtf", "application/rtf"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (8, b"WEBP", "image/webp"),
    (0, b"PAR1", "application/vnd.apache.parquet"),
    (0, b"Obj\x01", "application/avro"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (257, b"ustar", "application/x-tar"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"MZ\x90\0", "application/x-executable"),
    (0, b"ID3", "audio/mpeg"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftyp", "video/mp4"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
)
# Streams of a compound file, as its directory writes their names: what tells its program.
_COMPOUND: tuple[tuple[str, str], ...] = (
    ("EncryptedPackage", ENCRYPTED),
    ("__properties_version1.0", MSG),
    ("WordDocument", DOC),
    ("PowerPoint Document", PPT),
    ("Workbook", XLS),
    ("Book", XLS),
)
_PARTS: tuple[tuple[str, str], ...] = (
    ("word/", DOCX),
    ("ppt/", PPTX),
    ("xl/workbook.bin", XLSB),
    ("xl/", XLSX),
)
REFUSED: dict[str, str] = {
    "application/gzip": "a gzip archive",
    "application/x-7z-compressed": "a 7z archive",
    "application/vnd.rar": "a RAR archive",
    "application/x-bzip2": "a bzip2 archive",
    "application/x-xz": "an xz archive",
    "application/zstd": "a zstd archive",
    "application/x-tar": "a tar archive",
    "application/x-executable": "a program",
    "audio/mpeg": "sound",
    "audio/wav": "sound",
    "audio/ogg": "sound",
    "audio/flac": "sound",
    "video/mp4": "a video",
    "video/webm": "a video",
    "application/vnd.sqlite3": "an SQLite database",
    "application/x-ole-storage": "a compound file of an unknown program",
    ENCRYPTED: "an Office document with a password",
    EMPTY: "an empty file",
}
"""What is known and not read: its content type, and what it is called."""

_SUFFIXES = {
    MARKDOWN: ".md .markdown .mdx .mdown .mkd",
    HTML: ".html .htm .xhtml",
    "text/x-rst": ".rst .rest",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv .tab",
    "application/json": ".json .jsonl .ndjson .geojson",
    "application/x-ipynb+json": ".ipynb",
    "message/rfc822": ".eml .mht .mhtml",
    CODE: """.py .pyi .js .mjs .cjs .jsx .ts .tsx .java .kt .kts .scala .go .rs .c .h .cc .cpp .cxx .hpp .cs .rb .php
        .swift .m .mm .lua .pl .pm .r .jl .dart .ex .exs .erl .hs .clj .sql .sh .bash .zsh .ps1 .toml .yaml .yml .ini
        .cfg .tf .proto .graphql .css .scss .less .vue .svelte .zig .nim .f90 .vb .groovy .gradle .cmake""",
}
_BY_SUFFIX = {suffix: media for media, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
_BINARY = frozenset(
    """.pdf .docx .pptx .xlsx .xlsb .xls .odt .ott .odp .otp .ods .ots .zip .epub .msg .parquet .avro .png .jpg .jpeg
    .gif .tif .tiff .webp .bmp .doc .ppt .rtf .eml""".split()
)
# Possessive (`*+`, `(?>…)`): what begins with many comments must not be tried in every way to read them.
_BEFORE = r"\s*+(?>(?>(?><!--.*?-->)|<[?!](?!--|doctype\s+html)[^>]*+>)\s*+)*+"
_LOOKS_HTML = re.compile(_BEFORE + r"<(!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)
_LOOKS_FEED = re.compile(_BEFORE + r"<(?:rss|rdf:RDF|(?:\w+:)?feed)\b", re.IGNORECASE | re.DOTALL)
# The text or presentation in one file says in its first element what it is, behind the names of all its vocabularies.
_LOOKS_FLAT = re.compile(
    _BEFORE + rf"<(?:\w+:)?document\s[^>]*?\bmimetype\s*=\s*[\"'](?:{re.escape(_ODF)})(text|presentation)\b", re.DOTALL
)
_ODF_BODY = re.compile(rb"<(?:\w+:)?body\b[^<>]*>\s*<(?:\w+:)?(text|presentation|spreadsheet)\b")
MESSAGES = re.compile(rb"^From \S[^\n]{0,200}\d{4}[^\n]{0,20}\n(?=[A-Za-z][\w-]{0,60}:)", re.MULTILINE)
"""The lines before the messages of a mailbox (RFC 4155): a sender and a date, and then a message's first header."""
_MAIL_HEADER = re.compile(r"([A-Za-z][\w-]*):[ \t]?.*")
_MAIL_HEADERS = frozenset(
    """received return-path from to cc subject date message-id mime-version delivered-to content-type x-mailer
    reply-to dkim-signature""".split()
)
_NOTEBOOK = re.compile(r'\s*\{.{0,200}"(?:cells|nbformat|metadata)"\s*:', re.DOTALL)
HEAD = 4096
_HEADERS = 65_536
"""Bytes of a mail's headers that are looked at, where its first ones fill the head."""
_LONG_HEAD = 16_384
_ODF_STYLES = 1 << 20
"""Bytes in which the body of an OpenDocument file is looked for: its styles stand before it."""


def detect(path: str, content: bytes) -> str:
    """A file's content type; `text/plain` for text of no other kind and for what is not known."""
    suffix = PurePosixPath(path).suffix.lower()
    if not content or content.isspace():
        return EMPTY if suffix in _BINARY else _BY_SUFFIX.get(suffix, PLAIN)
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _zipped(content, suffix)
    if content.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _compound(content)
    if b"%PDF-" in content[:1024] and (suffix == ".pdf" or content.lstrip()[:5] == b"%PDF-"):
        return "application/pdf"
    for at, mark, media in _MAGIC:
        if content.startswith(mark, at) and (at or len(mark) > 2 or not _is_text(content)):
            return media
    if content.startswith(b"BM") and content[6:10] == b"\0\0\0\0":
        return "image/bmp"
    return _text(suffix, content)


def _zipped(content: bytes, suffix: str) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            names = package.namelist()
            if names and names[0] == "mimetype" and package.getinfo("mimetype").file_size < 200:
                return package.read("mimetype").decode("ascii", "replace").strip()
            if "content.xml" in names and (media := _opendocument(package)):
                return media
    except (
        zipfile.BadZipFile, zlib.error, ValueError, OSError, RuntimeError, NotImplementedError, LookupError, EOFError
    ):  # fmt: skip
        damaged = {".docx": DOCX, ".pptx": PPTX, ".xlsx": XLSX, ".epub": EPUB, ".odt": ODT, ".odp": ODP, ".ods": ODS}
        return damaged.get(suffix, ZIP)  # its parser tells what is wrong with it
    if "[Content_Types].xml" in names:
        for part, media in _PARTS:
            if any(name.startswith(part) for name in names):
                return media
    return EPUB if "META-INF/container.xml" in names else ZIP


def _opendocument(package: zipfile.ZipFile) -> str:
    """What was packed again by a program that does not put the type first; empty if it is something else."""
    with package.open("content.xml") as stream:
        head = stream.read(_ODF_STYLES)
    body = _ODF_BODY.search(head) if b"urn:oasis:names:tc:opendocument" in head[:_LONG_HEAD] else None
    return _ODF + body[1].decode() if body else ""


def _compound(content: bytes) -> str:
    try:
        names = root_names(content)
    except ValueError:  # its parser tells what is wrong with it
        names = frozenset(name for name, _ in _COMPOUND if name.encode("utf-16-le") + b"\0\0" in content)
    return next((media for name, media in _COMPOUND if name in names), "application/x-ole-storage")


def _is_text(content: bytes) -> bool:
    return b"\0" not in content[:HEAD]


def _text(suffix: str, content: bytes) -> str:
    named = _BY_SUFFIX.get(suffix)
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    head = _decoded(content[:HEAD], wide)
    if named in (MARKDOWN, HTML, "text/x-rst", CODE):
        return named
    if "opendocument" in head and (flat := _LOOKS_FLAT.match(_decoded(content[:_LONG_HEAD], wide))):
        return f"{_ODF}{flat[1]}-flat-xml"
    if _LOOKS_HTML.match(head):
        return HTML
    if _LOOKS_FEED.match(head):
        return "application/rss+xml"
    if content.startswith(b"From ") and _looks_mailbox(content):
        return MBOX
    if not wide and _looks_mail(content):
        return "message/rfc822"
    if _NOTEBOOK.match(head) and b'"nbformat"' in content:
        return "application/x-ipynb+json"
    if named == "message/rfc822" and not _MAIL_HEADER.fullmatch(head.split("\n")[0].rstrip("\r")):
        return PLAIN
    return named or PLAIN


def _decoded(head: bytes, wide: bool) -> str:
    return head.decode("utf-16" if wide else "utf-8-sig", "ignore").lstrip("\ufeff")


def _looks_mailbox(content: bytes) -> bool:
    """Whether more than one message stands in a file, each behind its line."""
    return len(list(islice(MESSAGES.finditer(content), 2))) == 2


def _looks_mail(content: bytes) -> bool:
    """Begins with lines of headers, three of them a mail's own: what servers and filters write comes before these."""
    known: set[str] = set()
    lines = _decoded(content[:HEAD], False).split("\n")
    if len(content) > HEAD and all(map(_is_header, lines[:-1])):
        lines = _decoded(content[:_HEADERS], False).split("\n")
    for line in lines[1:] if lines[0].startswith("From ") else lines:
        line = line.rstrip("\r")
        match = _MAIL_HEADER.fullmatch(line)
        if match:
            known.add(match[1].lower())
        elif not line.startswith((" ", "\t")) or not known:
            break
    return len(known & _MAIL_HEADERS) >= 3 and bool(known & {"from", "received", "return-path", "message-id"})


def _is_header(line: str) -> bool:
    return line.startswith((" ", "\t", "From ")) or _MAIL_HEADER.fullmatch(line.rstrip("\r")) is not None
