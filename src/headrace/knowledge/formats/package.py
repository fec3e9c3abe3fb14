"""ZIP packages: members read within limits, Office's and EPUB's parts by name."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from headrace.knowledge.formats.xml import Element, attribute, elements_of, local, root_of
from headrace.knowledge.parsed import File

_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
    LookupError,
)
_ENCRYPTED = 0x1


class Package:
    """An opened ZIP. Raises BadInput for one that is damaged, encrypted or beyond the limits."""

    def __init__(self, file: File, what: str) -> None:
        self.file = file
        self.what = what
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(file.content))
        except _BROKEN as error:
            raise self._damaged(error) from None
        self._paid: set[str] = set()
        self._relations: dict[str, Mapping[str, tuple[str, str]]] = {}
        self.infos = {i.filename: i for i in self._zip.infolist() if not i.is_dir()}
        if any(i.flag_bits & _ENCRYPTED for i in self.infos.values()):
            raise file.refused(f"{what} that is not encrypted", "one with a password", "Remove the password.")

    def has(self, name: str) -> bool:
        return name in self.infos

    def count(self, name: str) -> None:
        """Counts a member that another reader unpacks too: its first `read` here is not counted. Raises BadInput."""
        self._paid.add(name)
        self.file.member(self.infos[name].file_size, self.infos[name].compress_size)

    def read(self, name: str) -> bytes:
        """A member's bytes, no more than its directory promises."""
        info = self.infos.get(name)
        if info is None:
            raise self._damaged(f"no {name} in it")
        if name in self._paid:
            self._paid.discard(name)
        else:
            self.file.member(info.file_size, info.compress_size)
        try:
            with self._zip.open(info) as stream:
                content = stream.read(info.file_size + 1)
        except _BROKEN as error:
            raise self._damaged(error) from None
        if len(content) > info.file_size:
            raise self._damaged(f"more in {name} than is said")
        return content

    def xml(self, name: str) -> Element:
        return root_of(self.file, self.read(name), self.what)

    def elements(self, name: str, local_name: str) -> Iterator[Element]:
        """A member's elements of one name, each empty when the next is asked for."""
        return elements_of(self.file, self.read(name), self.what, local_name)

    def relations(self, part: str) -> Mapping[str, tuple[str, str]]:
        """What an Office part refers to: id to (last word of the type, name of the part or outside address)."""
        if part not in self._relations:
            self._relations[part] = self._read_relations(part)
        return self._relations[part]

    def _read_relations(self, part: str) -> Mapping[str, tuple[str, str]]:
        folder, _, name = part.rpartition("/")
        described = f"{folder}/_rels/{name}.rels".lstrip("/")
        if not self.has(described):
            return {}
        found: dict[str, tuple[str, str]] = {}
        for each in self.xml(described):
            id, kind, target = (attribute(each, n) or "" for n in ("Id", "Type", "Target"))
            if local(each) == "Relationship" and id:
                outside = attribute(each, "TargetMode") == "External"
                found[id] = (kind.rpartition("/")[2], target if outside else resolved(folder, target))
        return found

    def _damaged(self, error: object) -> Exception:
        got = f"a damaged one ({str(error)[:200]})" if str(error) else "a damaged one"
        return self.file.refused(f"{self.what} that is whole", got, "Copy or save it again.")


def resolved(folder: str, target: str) -> str:
    """A reference inside a package, from a folder in it."""
    target = unquote(target.partition("#")[0])
    return target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
