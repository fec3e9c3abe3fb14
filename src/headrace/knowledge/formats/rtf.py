"""RTF by its text."""

from __future__ import annotations

import re

from striprtf.striprtf import rtf_to_text

from headrace.knowledge.formats.text import name_of
from headrace.knowledge.parsed import Draft, File, Parsed

_TITLE = re.compile(rb"\{\\title ([^{}\\]{1,300})\}")


def parse(file: File) -> Parsed:
    try:
        text = rtf_to_text(file.content.decode("latin-1"), errors="replace")
    except (ValueError, LookupError, IndexError, KeyError) as error:
        raise file.refused("a whole RTF document", f"a damaged one ({error})", "Save it again.") from None
    title = _TITLE.search(file.content)
    draft = Draft(file)
    draft.add(text.strip())
    named = title[1].decode("latin-1").strip() if title else ""
    return draft.done(named or name_of(file.path), markdown=False)
