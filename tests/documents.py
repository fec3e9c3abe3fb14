"""Small documents of many formats, made here."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from xml.sax.saxutils import quoteattr

_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_SLIDES = "http://schemas.openxmlformats.org/presentationml/2006/main"
_DRAWN = "http://schemas.openxmlformats.org/drawingml/2006/main"
_OASIS = "urn:oasis:names:tc:opendocument:xmlns"
_ODF = "application/vnd.oasis.opendocument"


def zipped(members: Mapping[str, bytes | str], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as package:
        for name, content in members.items():
            package.writestr(name, content)
    return out.getvalue()


def pdf(pages: Sequence[str], *, title: str = "", date: str = "", encrypted: bool = False, marks: str = "") -> bytes:
    """One line of text a page. `encrypted`: with a password that nobody knows. `marks`: a bookmark to the last page."""
    kids = " ".join(f"{10 + 2 * n} 0 R" for n in range(len(pages)))
    last = 10 + 2 * (len(pages) - 1)
    outlines = "/Outlines << /First 4 0 R /Last 4 0 R /Count 1 >>" if marks else ""
    objects: dict[int, bytes] = {
        1: f"<< /Type /Catalog /Pages 2 0 R {outlines} >>".encode(),
        2: f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        4: f"<< /Title ({marks}) /Dest [{last} 0 R /Fit] >>".encode(),
        5: f"<< /Title ({title}) /ModDate ({date}) >>".encode(),
        6: b"<< /Filter /Standard /V 1 /R 2 /P -44 /O <" + b"41" * 32 + b"> /U <" + b"42" * 32 + b"> >>",
    }
    for n, text in enumerate(pages):
        escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        drawn = f"BT /F1 12 Tf 72 700 Td ({escaped}) Tj ET".encode()
        objects[10 + 2 * n] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {11 + 2 * n} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>"
        ).encode()
        objects[11 + 2 * n] = b"<< /Length %d >>\nstream\n" % len(drawn) + drawn + b"\nendstream"
    return _written(objects, b"/Encrypt 6 0 R /ID [<00><00>] " if encrypted else b"")


def drawn_pdf(
    pages: Sequence[str], *, rotate: int = 0, notes: Sequence[str] = (), form: str = "", title: str = ""
) -> bytes:
    """Pages of content streams (ISO 32000-1, 8 and 9) with the font F1 and the form XObject X1. `notes`: annotations
    of the first page; those with /FT are fields."""
    kids = " ".join(f"{100 + 2 * n} 0 R" for n in range(len(pages)))
    fields = " ".join(f"{10 + n} 0 R" for n, note in enumerate(notes) if "/FT" in note)
    marks = " ".join(f"{10 + n} 0 R" for n in range(len(notes)))
    objects: dict[int, bytes] = {
        1: f"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [{fields}] >> >>".encode(),
        2: f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        4: _stream(form, "/Type /XObject /Subtype /Form /BBox [0 0 9999 9999] /Resources << /Font << /F1 3 0 R >> >>"),
        5: f"<< /Title ({title}) >>".encode(),
    }
    objects |= {10 + n: f"<< /Type /Annot {note} >>".encode() for n, note in enumerate(notes)}
    for n, content in enumerate(pages):
        objects[100 + 2 * n] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {101 + 2 * n} 0 R /Rotate {rotate}"
            f" /Annots [{'' if n else marks}] /Resources << /Font << /F1 3 0 R >> /XObject << /X1 4 0 R >> >> >>"
        ).encode()
        objects[101 + 2 * n] = _stream(content)
    return _written(objects, b"")


def _stream(content: str, about: str = "") -> bytes:
    return f"<< {about} /Length {len(content)} >>\nstream\n{content}\nendstream".encode("latin-1")


def words_at(x: float, y: float, text: str, size: float = 12) -> str:
    """A content stream's part that shows some words, beginning at a place."""
    return f"BT /F1 {size} Tf {x} {y} Td ({text}) Tj ET\n"


def rules_at(*ends: tuple[float, float, float, float]) -> str:
    """A content stream's part that draws lines from (x, y) to (x, y)."""
    return "".join(f"{a} {b} m {c} {d} l S\n" for a, b, c, d in ends)


def _written(objects: Mapping[int, bytes], more: bytes) -> bytes:
    out = bytearray(b"%PDF-1.4\n")
    places: dict[int, int] = {}
    for number, body in sorted(objects.items()):
        places[number] = len(out)
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start, size = len(out), max(objects) + 1
    out += b"xref\n0 1\n0000000000 65535 f \n"
    for number, place in places.items():
        out += b"%d 1\n%010d 00000 n \n" % (number, place)
    out += b"trailer << /Size %d /Root 1 0 R /Info 5 0 R %s>>\nstartxref\n%d\n%%%%EOF\n" % (size, more, start)
    return bytes(out)


def _relations(*named: tuple[str, str, str]) -> str:
    each = "".join(
        f'<Relationship Id="{id}" Type="{_OFFICE}/{kind}" Target="{target}"'
        + (' TargetMode="External"' if "://" in target else "")
        + "/>"
        for id, kind, target in named
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{each}</Relationships>'


def _types() -> str:
    return f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>'


def _core(title: str, modified: str) -> str:
    return (
        f'<cp:coreProperties xmlns:cp="{_PACKAGE}/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        f' xmlns:dcterms="http://purl.org/dc/terms/"><dc:title>{title}</dc:title>'
        f"<dcterms:modified>{modified}</dcterms:modified></cp:coreProperties>"
    )


def docx(
    body: str, *, title: str = "", modified: str = "", links: Mapping[str, str] | None = None, custom: str = "",
    numbering: str = "", style: str = "",
) -> bytes:  # fmt: skip
    """`body`: WordprocessingML with the prefixes w and r. The style H2 is called `heading 2`, and has the properties
    `style`. `custom`: properties of the document; `numbering`: its lists."""
    names = f'xmlns:w="{_WORD}" xmlns:r="{_OFFICE}"'
    style = f'<w:style w:type="paragraph" w:styleId="H2"><w:name w:val="heading 2"/>{style}</w:style>'
    linked = [(id, "hyperlink", target) for id, target in (links or {}).items()]
    return zipped(
        {
            "[Content_Types].xml": _types(),
            "_rels/.rels": _relations(("a", "officeDocument", "word/document.xml")),
            "docProps/core.xml": _core(title, modified),
            **({"docProps/custom.xml": custom} if custom else {}),
            **({"word/numbering.xml": f"<w:numbering {names}>{numbering}</w:numbering>"} if numbering else {}),
            "word/document.xml": f"<w:document {names}><w:body>{body}</w:body></w:document>",
            "word/styles.xml": f"<w:styles {names}>{style}</w:styles>",
            "word/_rels/document.xml.rels": _relations(("s", "styles", "styles.xml"), *linked),
        }
    )


def paragraph(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def pptx(
    slides: Sequence[tuple[str, str]], notes: Mapping[int, str] | None = None, comments: str = "", people: str = ""
) -> bytes:
    """Slides of a title and a text; notes by number from 1. `comments` to the first slide and `people` are whole
    parts."""
    names = f'xmlns:p="{_SLIDES}" xmlns:a="{_DRAWN}" xmlns:r="{_OFFICE}"'

    def shape(kind: str, text: str) -> str:
        mark = f'<p:nvSpPr><p:cNvPr id="1" name="x"/><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr>'
        return f"<p:sp>{mark}<p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"

    def tree(inside: str) -> str:
        return f"<p:cSld><p:spTree>{inside}</p:spTree></p:cSld>"

    ids = "".join(f'<p:sldId id="{255 + n}" r:id="s{n}"/>' for n in range(1, len(slides) + 1))
    members: dict[str, bytes | str] = {
        "[Content_Types].xml": _types(),
        "_rels/.rels": _relations(("a", "officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": f"<p:presentation {names}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>",
        "ppt/authors.xml": people or "<none/>",
        "ppt/comments.xml": comments or "<none/>",
        "ppt/slides/_rels/slide1.xml.rels": _relations(("c", "comments", "../comments.xml")),
        "ppt/_rels/presentation.xml.rels": _relations(
            ("people", "authors", "authors.xml"),
            *[(f"s{n}", "slide", f"slides/slide{n}.xml") for n in range(1, len(slides) + 1)],
        ),
    }
    for n, (title, text) in enumerate(slides, 1):
        members[f"ppt/slides/slide{n}.xml"] = (
            f"<p:sld {names}>{tree(shape('title', title) + shape('body', text) + shape('sldNum', '99'))}</p:sld>"
        )
        if notes and n in notes:
            members[f"ppt/slides/_rels/slide{n}.xml.rels"] = _relations(
                ("n", "notesSlide", f"../notesSlides/notesSlide{n}.xml"), ("c", "comments", "../comments.xml")
            )
            members[f"ppt/notesSlides/notesSlide{n}.xml"] = (
                f"<p:notes {names}>{tree(shape('body', notes[n]))}</p:notes>"
            )
    return zipped(members)


def _vocabularies() -> str:
    names = {
        **{n: f"{_OASIS}:{n}:1.0" for n in ("office", "meta", "style", "text", "table", "presentation", "chart")},
        "draw": f"{_OASIS}:drawing:1.0",
        "svg": f"{_OASIS}:svg-compatible:1.0",
        "dc": "http://purl.org/dc/elements/1.1/",
        "xlink": "http://www.w3.org/1999/xlink",
    }
    return " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in names.items())


def _opendocument(kind: str, body: str, styles: str, masters: str, meta: str, members: Mapping[str, str]) -> bytes:
    names = _vocabularies()
    return zipped(
        {
            "mimetype": f"{_ODF}.{kind}",
            "content.xml": (
                f"<office:document-content {names}><office:automatic-styles>{styles}</office:automatic-styles>"
                f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>"
            ),
            "styles.xml": (
                f"<office:document-styles {names}><office:master-styles>{masters}</office:master-styles>"
                "</office:document-styles>"
            ),
            "meta.xml": f"<office:document-meta {names}><office:meta>{meta}</office:meta></office:document-meta>",
            **{name: text.replace("NAMES", names) for name, text in members.items()},
        }
    )


def odt(
    body: str, *, styles: str = "", masters: str = "", meta: str = "", members: Mapping[str, str] | None = None
) -> bytes:
    """OpenDocument elements with the prefixes of the specification. In `members`, NAMES stands for those prefixes."""
    return _opendocument("text", body, styles, masters, meta, members or {})


def fodt(body: str, *, meta: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<office:document {_vocabularies()} office:mimetype="{_ODF}.text">'
        f"<office:meta>{meta}</office:meta><office:body><office:text>{body}</office:text></office:body>"
        "</office:document>"
    ).encode()


def odp(slides: Sequence[tuple[str, str]], notes: Mapping[int, str] | None = None) -> bytes:
    """Slides of a title and a text; notes by number from 1."""

    def frame(kind: str, text: str) -> str:
        box = f"<draw:text-box><text:p>{text}</text:p></draw:text-box>"
        return f'<draw:frame presentation:class="{kind}">{box}</draw:frame>'

    pages = ""
    for n, (title, text) in enumerate(slides, 1):
        told = f"<presentation:notes>{frame('notes', notes[n])}</presentation:notes>" if notes and n in notes else ""
        pages += f"<draw:page>{frame('title', title)}{frame('outline', text)}{frame('page-number', '99')}{told}"
        pages += "</draw:page>"
    return _opendocument("presentation", pages, "", "", "", {})


def ods(tables: str, *, meta: str = "", members: Mapping[str, str] | None = None) -> bytes:
    """As `odt`."""
    manifest = (
        f'<manifest:manifest xmlns:manifest="{_OASIS}:manifest:1.0"><manifest:file-entry manifest:full-path="/" '
        f'manifest:media-type="{_ODF}.spreadsheet"/></manifest:manifest>'
    )
    return _opendocument("spreadsheet", tables, "", "", meta, {"META-INF/manifest.xml": manifest, **(members or {})})


def xlsx(
    sheets: Mapping[str, Sequence[Sequence[str | float | tuple[float, str]]]],
    more: Mapping[str, str] | None = None,
    beside: Sequence[tuple[str, str, str]] = (),
) -> bytes:
    """Cells are texts, numbers, or numbers with the code of their format. `beside`: what the first sheet refers to, as
    (id, type, part), in `more` as all other parts."""
    codes = sorted({c[1] for rows in sheets.values() for row in rows for c in row if isinstance(c, tuple)})

    def cell(value: str | float | tuple[float, str]) -> str:
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        number, style = (value[0], codes.index(value[1]) + 1) if isinstance(value, tuple) else (value, 0)
        return f'<c s="{style}"><v>{number}</v></c>'

    named = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="s{n}"/>' for n, name in enumerate(sheets, 1))
    members: dict[str, bytes | str] = {
        "[Content_Types].xml": _types(),
        "_rels/.rels": _relations(("a", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook xmlns="{_SHEET}" xmlns:r="{_OFFICE}"><sheets>{named}</sheets></workbook>',
        "xl/styles.xml": _styles(codes),
        "xl/_rels/workbook.xml.rels": _relations(
            ("styles", "styles", "styles.xml"),
            ("people", "person", "persons/person.xml"),
            *[(f"s{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)],
        ),
        "xl/worksheets/_rels/sheet1.xml.rels": _relations(*beside),
        **(more or {}),
    }
    for n, rows in enumerate(sheets.values(), 1):
        data = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        members.setdefault(
            f"xl/worksheets/sheet{n}.xml", f'<worksheet xmlns="{_SHEET}"><sheetData>{data}</sheetData></worksheet>'
        )
    return zipped(members)


def _styles(codes: Sequence[str]) -> str:
    """Cell formats: the plain one, and one for each code."""
    formats = "".join(f"<numFmt numFmtId='{164 + n}' formatCode={quoteattr(c)}/>" for n, c in enumerate(codes))
    uses = "".join(f'<xf numFmtId="{164 + n}" applyNumberFormat="1"/>' for n in range(len(codes)))
    return f'<styleSheet xmlns="{_SHEET}"><numFmts>{formats}</numFmts><cellXfs><xf/>{uses}</cellXfs></styleSheet>'


def epub(chapters: Sequence[str], *, title: str, date: str) -> bytes:
    items = "".join(f'<item id="c{n}" href="text/c{n}.xhtml"/>' for n in range(len(chapters)))
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    about = f"<metadata><title>{title}</title><date>{date}</date></metadata>"
    members: dict[str, bytes | str] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container><rootfile full-path="book/content.opf"/></container>',
        "book/content.opf": f"<package>{about}<manifest>{items}</manifest><spine>{spine}</spine></package>",
    }
    members |= {f"book/text/c{n}.xhtml": f"<html><body>{c}</body></html>" for n, c in enumerate(chapters)}
    return zipped(members)


def mail(subject: str, text: str, attached: Mapping[str, bytes] | None = None, *, date: str = "") -> bytes:
    lines = [f"From: Ada <ada@example.com>\r\nTo: Bob <bob@example.com>\r\nSubject: {subject}\r\nDate: {date}\r\n"]
    lines.append('MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="edge"\r\n\r\n')
    lines.append(f"--edge\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n")
    for name, content in (attached or {}).items():
        lines.append(f'--edge\r\nContent-Type: application/octet-stream; name="{name}"\r\n')
        lines.append(f'Content-Disposition: attachment; filename="{name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n')
        lines.append(_base64(content) + "\r\n")
    return "".join([*lines, "--edge--\r\n"]).encode()


def _base64(content: bytes) -> str:
    return base64.encodebytes(content).decode().replace("\n", "\r\n")


_FREE, _LAST, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_SECTOR = 512


def compound(streams: Mapping[str, bytes]) -> bytes:
    """A compound file ([MS-CFB], version 3) of streams by path; each is filled up with zeros to 4,096 bytes, from which
    on a stream stands in sectors of its own."""
    folders = sorted({path.partition("/")[0] for path in streams if "/" in path})
    names = ["Root Entry", *folders, *streams]
    top = [*range(1, len(folders) + 1), *(names.index(p) for p in streams if "/" not in p)]
    inside = {f: [names.index(p) for p in streams if p.startswith(f + "/")] for f in folders}
    after: dict[int, int] = {}
    for row in (top, *inside.values()):
        after |= dict(pairwise(row))
    table: list[int] = [_FAT]
    body = bytearray()
    entries = bytearray()
    for n, name in enumerate(names):
        content = streams.get(name)
        start = _LAST if content is None else len(table)
        if content is not None:
            padded = content.ljust(4096, b"\0")
            padded += b"\0" * (-len(padded) % _SECTOR)
            table += [*range(start + 1, start + len(padded) // _SECTOR), _LAST]
            body += padded
        children = top if n == 0 else inside.get(name, [])
        shown = name.rpartition("/")[2].encode("utf-16-le")
        kind = 5 if n == 0 else 2 if content is not None else 1
        entries += shown.ljust(64, b"\0") + (len(shown) + 2).to_bytes(2, "little") + bytes([kind, 1])
        entries += b"".join(v.to_bytes(4, "little") for v in (_FREE, after.get(n, _FREE), (children or [_FREE])[0]))
        entries += bytes(36) + start.to_bytes(4, "little")
        entries += (max(len(content), 4096) if content is not None else 0).to_bytes(8, "little")
    entries += bytes(-len(entries) % _SECTOR)
    directory = len(table)
    table += [*range(directory + 1, directory + len(entries) // _SECTOR), _LAST]
    assert len(table) <= _SECTOR // 4, "one sector of the table is enough for a test"
    fat = b"".join(v.to_bytes(4, "little") for v in [*table, *[_FREE] * (_SECTOR // 4 - len(table))])
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + b"\x3e\0\3\0\xfe\xff\x09\0\x06\0" + bytes(6)
    numbers = (0, 1, directory, 0, 4096, _LAST, 0, _LAST, 0, 0, *[_FREE] * 108)
    return head + b"".join(v.to_bytes(4, "little") for v in numbers) + fat + bytes(body) + bytes(entries)


def msg(subject: str, text: str, attached: Mapping[str, bytes], *, delivered_us: int) -> bytes:
    """An Outlook message ([MS-OXMSG])."""
    filetime = (delivered_us + 11_644_473_600_000_000) * 10
    when = b"\x40\0\x06\x0e" + bytes(4) + filetime.to_bytes(8, "little")
    streams = {
        "__properties_version1.0": bytes(32) + when,
        "__substg1.0_0037001F": subject.encode("utf-16-le"),
        "__substg1.0_1000001F": text.encode("utf-16-le"),
        "__substg1.0_0C1A001E": b"Ada",
    }
    for n, (name, content) in enumerate(attached.items()):
        folder = f"__attach_version1.0_#{n:08X}"
        streams[f"{folder}/__substg1.0_3707001F"] = name.encode("utf-16-le")
        streams[f"{folder}/__substg1.0_37010102"] = content
    return compound(streams)
