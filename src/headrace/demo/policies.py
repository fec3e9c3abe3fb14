"""The airline's policies: Markdown files in one folder, saved whole."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from headrace.demo.errors import Refused, UnknownPlace

MAX_BYTES = 256 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.md")


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy document: `name` is its file's name, `title` its first heading."""

    name: str
    title: str


def copy_policies(folder: Path) -> list[str]:
    """Puts the policies into a folder that has none of them yet; returns the names that were written.

    A file that is there stays as it is, and once any of them is there none is added: what a person changed or deleted
    is never undone.
    """
    originals = [entry for entry in files("headrace.demo").joinpath("policies").iterdir() if entry.name.endswith(".md")]
    folder.mkdir(parents=True, exist_ok=True)
    if any((folder / original.name).exists() for original in originals):
        return []
    for original in originals:
        save(folder / original.name, original.read_text("utf-8"))
    return sorted(original.name for original in originals)


def list_policies(folder: Path) -> list[Policy]:
    """The folder's policies in the order of their names."""
    paths = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and _is_ours(path))
    return [Policy(path.name, _title(path)) for path in paths]


def read_policy(folder: Path, name: str) -> str:
    """A policy's text. Raises UnknownPlace."""
    try:
        return _existing(folder, name).read_text("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(
            step="read a policy", expected="UTF-8 text", got=str(error), remedy=f"Save {name} as UTF-8."
        ) from None


def write_policy(folder: Path, name: str, text: str) -> None:
    """Replaces a policy's text in one step. Raises UnknownPlace (new files are not made here) and Refused."""
    path = _existing(folder, name)
    size = len(text.encode())
    if size > MAX_BYTES:
        raise Refused(
            step="save a policy",
            expected=f"at most {MAX_BYTES} bytes",
            got=f"{size} bytes",
            remedy="Shorten the text.",
        )
    save(path, text)


def save(path: Path, text: str) -> None:
    """Writes beside the file and renames over it: a reader sees the old text or the new one, never a part."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _existing(folder: Path, name: str) -> Path:
    path = folder / name
    if not _NAME.fullmatch(name) or not _is_ours(path):
        raise UnknownPlace(
            step="find a policy",
            expected="the name of a policy, such as baggage.md",
            got=repr(name[:100]),
            remedy="GET /demo/desk lists the policies.",
        )
    return path


def _is_ours(path: Path) -> bool:
    # A link could lead out of the folder.
    return path.is_file() and not path.is_symlink()


def _title(path: Path) -> str:
    for line in path.read_text("utf-8", errors="replace").splitlines():
        if line.startswith("# "):
            return line.removeprefix("# ").strip()
    return path.stem
