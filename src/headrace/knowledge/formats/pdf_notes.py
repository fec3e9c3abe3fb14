"""What is filled into a PDF's form, and what its readers noted (ISO 32000-1, 12.5 and 12.7)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ctypes import Array, c_ushort

import pypdfium2 as pdfium
from pypdfium2 import raw

_ANNOTATIONS = 5000
"""Of a page; what comes after them is not read."""
_OPTIONS = 1000
_PASSWORD = 1 << 13
_COMMENTS = frozenset(
    {
        raw.FPDF_ANNOT_TEXT, raw.FPDF_ANNOT_FREETEXT, raw.FPDF_ANNOT_HIGHLIGHT, raw.FPDF_ANNOT_UNDERLINE,
        raw.FPDF_ANNOT_SQUIGGLY, raw.FPDF_ANNOT_STRIKEOUT, raw.FPDF_ANNOT_STAMP, raw.FPDF_ANNOT_CARET,
    }
)  # fmt: skip
_TICKED = frozenset({"yes", "on", "true", "1", "x"})
_Read = Callable[[Array[c_ushort] | None, int], int]


class Form:
    """A document's form while it is open; must be closed before it."""

    def __init__(self, document: pdfium.PdfDocument) -> None:
        self._about = raw.FPDF_FORMFILLINFO(version=2)  # PDFium keeps a pointer to it
        has_fields = raw.FPDF_GetFormType(document) != raw.FORMTYPE_NONE
        self._handle = raw.FPDFDOC_InitFormFillEnvironment(document, self._about) if has_fields else None

    def close(self) -> None:
        if self._handle:
            raw.FPDFDOC_ExitFormFillEnvironment(self._handle)
            self._handle = None

    def notes(self, page: pdfium.PdfPage) -> Iterator[tuple[bool, str]]:
        """A page's filled fields and its comments as (whether it is a comment, line), as far as they are shown."""
        count = min(raw.FPDFPage_GetAnnotCount(page), _ANNOTATIONS)
        if count <= 0:
            return
        seen: set[str] = set()
        fields = _Fields(self._handle, page) if self._handle else None
        try:
            for n in range(count):
                is_comment, line = _note(page, n, fields)
                if line and (is_comment or line not in seen):  # a field may stand in more than one place
                    seen.add(line)
                    yield is_comment, line
        finally:
            if fields:
                fields.close()


def _note(page: pdfium.PdfPage, n: int, fields: _Fields | None) -> tuple[bool, str]:
    annotation = raw.FPDFPage_GetAnnot(page, n)
    if not annotation:
        return False, ""
    try:
        kind = raw.FPDFAnnot_GetSubtype(annotation)
        if raw.FPDFAnnot_GetFlags(annotation) & raw.FPDF_ANNOT_FLAG_HIDDEN:
            return False, ""
        if kind in _COMMENTS:
            return True, _comment(annotation)
        return False, fields.line(annotation) if fields and kind == raw.FPDF_ANNOT_WIDGET else ""
    finally:
        raw.FPDFPage_CloseAnnot(annotation)


def _comment(annotation: raw.FPDF_ANNOTATION) -> str:
    words, author = _said(annotation, b"Contents"), _said(annotation, b"T")
    return f"- {author}: {words}" if author and words else f"- {words}" if words else ""


class _Fields:
    """The fields of an open page; must be closed before it."""

    def __init__(self, form: raw.FPDF_FORMHANDLE, page: pdfium.PdfPage) -> None:
        self._form = form
        self._page = page
        self._is_loaded = False

    def close(self) -> None:
        if self._is_loaded:
            raw.FORM_OnBeforeClosePage(self._page, self._form)
            self._is_loaded = False

    def line(self, annotation: raw.FPDF_ANNOTATION) -> str:
        """A filled field's line; empty without a value, and for what is a password, a button or a signature."""
        form = self._form
        kind = raw.FPDFAnnot_GetFormFieldType(form, annotation)
        if kind in (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON):
            value = self._ticked(annotation)
        elif kind in (raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX):
            value = _chosen(form, annotation) or _value(form, annotation)
        elif kind == raw.FPDF_FORMFIELD_TEXTFIELD and not raw.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD:
            value = _value(form, annotation)
        else:
            return ""
        return f"- {_name(form, annotation)}: {value}" if value else ""

    def _ticked(self, annotation: raw.FPDF_ANNOTATION) -> str:
        state = _said(annotation, b"AS")
        if state in ("", "Off"):
            return ""
        if not self._is_loaded:  # before, PDFium does not know the values of buttons
            raw.FORM_OnAfterLoadPage(self._page, self._form)
            self._is_loaded = True
        form = self._form
        told = _string(lambda buffer, size: raw.FPDFAnnot_GetFormFieldExportValue(form, annotation, buffer, size))
        value = told or state
        return "yes" if value.lower() in _TICKED else value


def _name(form: raw.FPDF_FORMHANDLE, annotation: raw.FPDF_ANNOTATION) -> str:
    """What a reader is shown, else the last part of the field's own name, without its number."""
    shown = _string(lambda buffer, size: raw.FPDFAnnot_GetFormFieldAlternateName(form, annotation, buffer, size))
    own = _string(lambda buffer, size: raw.FPDFAnnot_GetFormFieldName(form, annotation, buffer, size))
    return shown or re.sub(r"\[\d{1,9}\]$", "", own.rpartition(".")[2]) or "field"


def _value(form: raw.FPDF_FORMHANDLE, annotation: raw.FPDF_ANNOTATION) -> str:
    return _string(lambda buffer, size: raw.FPDFAnnot_GetFormFieldValue(form, annotation, buffer, size))


def _chosen(form: raw.FPDF_FORMHANDLE, annotation: raw.FPDF_ANNOTATION) -> str:
    """What is shown for the options that are chosen."""
    found: list[str] = []
    for n in range(min(raw.FPDFAnnot_GetOptionCount(form, annotation), _OPTIONS)):
        if raw.FPDFAnnot_IsOptionSelected(form, annotation, n):

            def label(buffer: Array[c_ushort] | None, size: int, n: int = n) -> int:
                return raw.FPDFAnnot_GetOptionLabel(form, annotation, n, buffer, size)

            found.append(_string(label))
    return ", ".join(label for label in found if label)


def _said(annotation: raw.FPDF_ANNOTATION, key: bytes) -> str:
    return _string(lambda buffer, size: raw.FPDFAnnot_GetStringValue(annotation, key, buffer, size))


def _string(read: _Read) -> str:
    """What PDFium writes into a buffer of UTF-16 with a zero at its end, on one line."""
    size = read(None, 0)
    if size <= 2:
        return ""
    buffer = (c_ushort * (size // 2 + 1))()
    read(buffer, size)
    return " ".join(bytes(buffer)[: size - 2].decode("utf-16-le", "ignore").replace("\0", "").split())
