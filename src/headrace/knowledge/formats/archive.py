"""ZIP archives: each member that can be read, under its path."""

from __future__ import annotations

from headrace.errors import BadInput
from headrace.knowledge.formats.package import Package
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.parsed import Draft, File, Parsed, Reasons, TooMuch

_SKIPPED = ("__MACOSX/", ".git/")


def parse(file: File) -> Parsed:
    package = Package(file, "a ZIP archive")
    draft, reasons = Draft(file), Reasons()
    read = 0
    for name, info in package.infos.items():
        if name.startswith(_SKIPPED) or name.rpartition("/")[2].startswith("."):
            continue
        if info.file_size == 0:
            continue
        try:
            part = file.nested(file, name, package.read(name))
        except TooMuch:
            raise
        except BadInput as error:
            reasons.add(name, error)
            continue
        read += 1
        draft.add(f"# {name}\n\n")
        draft.take(part, name)
        draft.add("\n\n")
    if not read:
        got = "; ".join(reasons.lines)[:400] or "no files"
        raise file.refused("an archive with documents in it", got, "Leave it out with `exclude`.")
    if reasons.lines:
        draft.add("\n".join(reasons.lines) + "\n")
    return draft.done(name_of(file.path))
