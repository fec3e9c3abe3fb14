"""PDF: each page's text, tables, form and comments; scanned pages by OCR; bookmarks or large lines as headings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice

import pypdfium2 as pdfium
from pypdfium2 import raw

from headrace.errors import BadInput
from headrace.knowledge.dates import stated_in_pdf
from headrace.knowledge.formats.ocr import Reader, reader
from headrace.knowledge.formats.pdf_headings import LINES, Heading, Line, headings
from headrace.knowledge.formats.pdf_lines import lines, written
from headrace.knowledge.formats.pdf_notes import Form
from headrace.knowledge.formats.pdf_page import Page, measured
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.parsed import Draft, File, Parsed
from headrace.metadata import Metadata, keywords_of, metadata_of, time_text_us
from headrace.place import Place

SCANNED = 16
"""Fewer characters than this on a page with a picture: it is looked at by OCR."""
STAMPED, COVERED = 200, 0.5
"""Fewer characters than this on a page of which a picture covers so much: a scan with a stamp or a number put on it."""
DPI = 150
_UNTITLED = re.compile(
    r"\(?(untitled|anonymous)\)?|Microsoft Word - .*|Adobe Photoshop PDF|.*\.(dvi|docx?|indd|qxd)", re.I
)
_NUMBERED = re.compile(r"\d{1,2}[.\d]*\s")
_OUTLINE = 5000
_PICTURES = 50


def parse(file: File) -> Parsed:
    document = _opened(file)
    form = Form(document)
    try:
        return _Pages(file, document, form).read()
    except pdfium.PdfiumError as error:
        raise _damaged(file, error) from None
    finally:
        form.close()
        document.close()


def _opened(file: File) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(file.content)
    except pdfium.PdfiumError as error:
        if error.err_code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
            raise file.refused("a PDF that is not encrypted", "one with a password", "Remove the password.") from None
        raise _damaged(file, error) from None


def _damaged(file: File, error: Exception) -> BadInput:
    got = " ".join(str(error).split())[:200]
    return file.refused("a PDF that is whole", f"a damaged one ({got})", "Save it again with its program.")


class _Pages:
    def __init__(self, file: File, document: pdfium.PdfDocument, form: Form) -> None:
        self._file = file
        self._document = document
        self._draft = Draft(file)
        self._starts: list[int] = []
        self._ocr: Reader | None = None
        self._unread = 0
        self._refusal: BadInput | None = None
        self._lines: list[Line] = []
        self._weights: Counter[float] = Counter()
        self._form = form

    def read(self) -> Parsed:
        count = len(self._document)
        if count > self._file.limits.pages:
            raise self._file.excess(f"at most {self._file.limits.pages:,} pages", f"{count:,}", "pages")
        about = self._about()
        title = " ".join(about.get("Title", "").replace("\0", "").split())
        named = "" if _UNTITLED.fullmatch(title) else title
        marked = next(iter(self._document.get_toc()), None) is not None
        for n in range(count):
            self._page(n, sized=not (named and marked))
        if not self._draft.at and self._unread:
            assert self._refusal is not None
            raise self._refusal
        dated = stated_in_pdf(about.get("ModDate", "")) or stated_in_pdf(about.get("CreationDate", ""))
        found = headings(self._draft.text, self._lines)
        outline = self._outline() or tuple((h.start, h.level, h.words) for h in found)
        title = named or _first(found) or name_of(self._file.path)
        said = _metadata(about, named)
        return self._draft.done(title, markdown=False, dated=dated, outline=outline, metadata=said)

    def _about(self) -> dict[str, str]:
        """What the document states of itself; nothing where that is no text."""
        try:
            return self._document.get_metadata_dict()
        except UnicodeDecodeError:
            return {}

    def _page(self, n: int, *, sized: bool) -> None:
        """Adds a page's text, and after it what its form and its readers say."""
        self._file.page()
        self._starts.append(self._draft.at)
        self._draft.begin(Place(page=n + 1))
        page = self._document[n]
        try:
            self._text(n, page, sized)
            self._notes(page)
        finally:
            page.close()

    def _notes(self, page: pdfium.PdfPage) -> None:
        """The fields that are filled, then the comments."""
        comments: list[str] = []
        size = 0
        has_fields = False
        for is_comment, line in self._form.notes(page):
            if is_comment:
                comments.append(line)
                size += len(line)
                if size > self._file.limits.characters:
                    break  # which is told when they are added
            else:
                self._draft.add(line + "\n")
                has_fields = True
        if has_fields:
            self._draft.add("\n")
        if comments:
            self._draft.add("\n".join(comments) + "\n\n")

    def _text(self, n: int, page: pdfium.PdfPage, sized: bool) -> None:
        textpage = page.get_textpage()
        try:
            reading = Page(page, textpage)
            text, places = written(reading.pieces())
            if _is_scan(page, text) and (scanned := self._scanned(page)):
                text, places = written(lines(_with(scanned, text)))[0], []
            if text and sized and len(self._lines) <= LINES:
                self._lines += measured(reading, places, self._draft.at, n, self._weights)
        finally:
            textpage.close()
        if text:
            self._draft.add(text + "\n\n")

    def _scanned(self, page: pdfium.PdfPage) -> str:
        """The text of a page that is a picture; none where OCR is not to be had, which is told at the end."""
        width, height = page.get_size()
        scale = DPI / 72
        if width * height * scale * scale > self._file.limits.pixels:
            scale = (self._file.limits.pixels / max(width * height, 1)) ** 0.5
        try:
            self._ocr = self._ocr or reader(self._file)
        except BadInput as refusal:
            self._unread += 1
            self._refusal = refusal
            return ""
        bitmap = page.render(scale=scale)
        try:
            return self._ocr.read(bitmap.to_numpy())
        finally:
            bitmap.close()

    def _outline(self) -> tuple[tuple[int, int, str], ...]:
        """Bookmarks as headings: where their words stand on the page they point to, else at its beginning."""
        text = self._draft.text
        found: list[tuple[int, int, str]] = []
        upto = 0
        for n, mark in enumerate(self._document.get_toc()):
            if n >= _OUTLINE:
                break
            target = mark.get_dest()
            page = target.get_index() if target else None
            try:
                words = " ".join(mark.get_title().split())
            except UnicodeDecodeError:  # half a character
                continue
            if page is None or page >= len(self._starts) or not words:
                continue
            start = max(self._starts[page], upto)
            end = self._starts[page + 1] if page + 1 < len(self._starts) else len(text)
            at = text.find(words, start, end)
            upto = at if at >= 0 else start
            found.append((upto, mark.level + 1, words))
        return tuple(found)


def _metadata(about: Mapping[str, str], title: str) -> Metadata:
    """The document information dictionary (ISO 32000-1, 14.3.3)."""
    return metadata_of(
        {
            "title": title,
            **{name: about.get(name.capitalize(), "") for name in ("author", "subject", "creator", "producer")},
            "keywords": keywords_of(about.get("Keywords", "")),
            "created": time_text_us(stated_in_pdf(about.get("CreationDate", ""))),
            "modified": time_text_us(stated_in_pdf(about.get("ModDate", ""))),
        }
    )


def _is_scan(page: pdfium.PdfPage, text: str) -> bool:
    """Whether what is to be read on a page stands in a picture."""
    if len(text) >= STAMPED:
        return False
    pictures = page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE,), max_depth=3)
    if len(text) < SCANNED:
        return next(iter(pictures), None) is not None
    width, height = page.get_size()
    sides = (picture.get_bounds() for picture in islice(pictures, _PICTURES))
    return any((right - left) * (top - low) >= COVERED * width * height for left, low, right, top in sides)


def _with(scanned: str, text: str) -> str:
    """What was read in a page's picture, and of its own text the lines that this does not have."""
    known = "".join(scanned.split())
    return "\n".join([scanned, *[line for line in text.splitlines() if "".join(line.split()) not in known]])


def _first(found: Sequence[Heading]) -> str:
    """The first heading of the first page, unless it is a numbered section's."""
    words = next((h.words for h in found if h.page == 0), "")
    return "" if _NUMBERED.match(words) else words
