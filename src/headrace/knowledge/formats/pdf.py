"""PDF: the text of each page, scanned pages by OCR, bookmarks as headings."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pypdfium2 as pdfium
from pypdfium2 import raw

from headrace.errors import BadInput
from headrace.knowledge.dates import stated_in_pdf
from headrace.knowledge.formats.ocr import Reader, reader
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.parsed import Draft, File, Parsed
from headrace.metadata import Metadata, keywords_of, metadata_of, time_text_us
from headrace.place import Place

SCANNED = 16
"""Fewer characters than this on a page with a picture: it is looked at by OCR."""
DPI = 150
_HYPHEN = "\ufffe"  # PDFium's sign for a hyphen at a line's end
_UNTITLED = re.compile(
    r"\(?(untitled|anonymous)\)?|Microsoft Word - .*|Adobe Photoshop PDF|.*\.(dvi|docx?|indd|qxd)", re.I
)
_OUTLINE = 5000


def parse(file: File) -> Parsed:
    document = _opened(file)
    try:
        return _Pages(file, document).read()
    except pdfium.PdfiumError as error:
        raise _damaged(file, error) from None
    finally:
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
    def __init__(self, file: File, document: pdfium.PdfDocument) -> None:
        self._file = file
        self._document = document
        self._draft = Draft(file)
        self._starts: list[int] = []
        self._ocr: Reader | None = None
        self._unread = 0
        self._refusal: BadInput | None = None

    def read(self) -> Parsed:
        count = len(self._document)
        if count > self._file.limits.pages:
            raise self._file.excess(f"at most {self._file.limits.pages:,} pages", f"{count:,}", "pages")
        for n in range(count):
            self._file.page()
            self._starts.append(self._draft.at)
            self._draft.begin(Place(page=n + 1))
            if text := self._page(n):
                self._draft.add(text + "\n\n")
        if not self._draft.at and self._unread:
            assert self._refusal is not None
            raise self._refusal
        about = self._document.get_metadata_dict()
        title = " ".join(about.get("Title", "").replace("\0", "").split())
        dated = stated_in_pdf(about.get("ModDate", "")) or stated_in_pdf(about.get("CreationDate", ""))
        named = "" if _UNTITLED.fullmatch(title) else title
        title = named or name_of(self._file.path)
        said = _metadata(about, named)
        return self._draft.done(title, markdown=False, dated=dated, outline=self._outline(), metadata=said)

    def _page(self, n: int) -> str:
        page = self._document[n]
        try:
            textpage = page.get_textpage()
            try:
                text = _cleaned(textpage.get_text_range())
            finally:
                textpage.close()
            return text if len(text) >= SCANNED or not _pictured(page) else self._scanned(page) or text
        finally:
            page.close()

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
            words = " ".join(mark.get_title().split())
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


def _pictured(page: pdfium.PdfPage) -> bool:
    return next(iter(page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE,), max_depth=3)), None) is not None


def _cleaned(text: str) -> str:
    """Lines with one kind of end; words that a line's end had cut joined."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub(_HYPHEN + r"\n?", "", text)
    text = re.sub(r"[^\S\n]+\n", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()
