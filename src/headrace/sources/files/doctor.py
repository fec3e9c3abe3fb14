"""Looks at a folder of documents before it is used."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headrace.findings import Finding, error, note, ok, warning
from headrace.sources import SourceSettings
from headrace.sources.files.address import folder_of
from headrace.sources.files.ignore import Ignore
from headrace.sources.files.mounts import NETWORK, kind_of
from headrace.sources.files.reasons import is_text, key_of

MOST_ENTRIES = 500_000
_INOTIFY = Path("/proc/sys/fs/inotify")
_MOUNTS = Path("/proc/self/mountinfo")
_SHOWN = 3


async def check(settings: SourceSettings) -> Sequence[Finding]:
    """Implements `headrace.sources.Doctor`."""
    root = folder_of(settings.url)
    return await asyncio.to_thread(lambda: list(_all(root, settings)))


@dataclass(slots=True)
class _Seen:
    """What stands below the folder; of what is wrong, every path."""

    files: int = 0
    folders: int = 0
    bytes: int = 0
    links: int = 0
    outside: list[str] = field(default_factory=list[str])
    entries: int = 0
    closed: list[str] = field(default_factory=list[str])
    unreadable: list[str] = field(default_factory=list[str])
    large: list[str] = field(default_factory=list[str])
    names: list[str] = field(default_factory=list[str])


def _all(root: Path, settings: SourceSettings) -> Iterator[Finding]:
    if not root.is_dir():
        yield error(
            "folder",
            expected=f"a folder at {root}",
            got="something else" if root.exists() else "nothing there",
            remedy="Create it, mount its disk, or correct the source's url.",
        )
        return
    if not os.access(root, os.R_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        yield error(
            "folder",
            expected=f"to list {root}",
            got="no right to",
            remedy="Let the user that runs Headrace read it (chmod, chown).",
        )
        return
    seen = _Seen()
    _walk(root, Ignore(settings.include, settings.exclude), settings.max_bytes, seen)
    counted = f"{seen.files} documents of {seen.bytes / (1 << 20):.1f} MB in {seen.folders} folders"
    if seen.entries >= MOST_ENTRIES:
        yield note("documents", f"more than could be looked at: the first {counted}")
    else:
        yield ok("documents", counted)
    yield from _wrong(seen, settings)
    if seen.links:
        outside = f"; {_some(seen.outside, 'out of the folder lead')}" if seen.outside else ""
        yield note("links", f"{seen.links}, which are not followed{outside}")
    if sys.platform == "linux":
        yield _file_system(root)
        yield _watches(seen.folders)


def _walk(root: Path, ignore: Ignore, max_bytes: int, seen: _Seen) -> None:
    stack = [""]
    while stack and seen.entries < MOST_ENTRIES:
        folder = stack.pop()
        try:
            with os.scandir(root / folder) as entries:
                seen.folders += 1
                for entry in entries:
                    seen.entries += 1
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.is_symlink():
                        if ignore.takes_file(path):
                            _link(root, entry, path, seen)
                    elif entry.is_dir(follow_symlinks=False):
                        if ignore.takes_folder(path):
                            stack.append(path)
                    elif entry.is_file(follow_symlinks=False) and ignore.takes_file(path):
                        _file(entry, path, max_bytes, seen)
        except PermissionError:
            seen.closed.append(path_shown(folder))
        except FileNotFoundError:
            continue


def _link(root: Path, entry: os.DirEntry[str], path: str, seen: _Seen) -> None:
    seen.links += 1
    if not Path(os.path.realpath(entry.path)).is_relative_to(os.path.realpath(root)):
        seen.outside.append(path_shown(path))


def _file(entry: os.DirEntry[str], path: str, max_bytes: int, seen: _Seen) -> None:
    size = entry.stat(follow_symlinks=False).st_size
    seen.files += 1
    seen.bytes += size
    if not is_text(path):
        seen.names.append(path_shown(path))
    elif size > max_bytes:
        seen.large.append(path)
    elif not os.access(entry.path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        seen.unreadable.append(path)


def path_shown(path: str) -> str:
    return path if is_text(path) else key_of(path)


def _wrong(seen: _Seen, settings: SourceSettings) -> Iterator[Finding]:
    remedy = "Let the user that runs Headrace read them (chmod, chown), or exclude them."
    if seen.closed:
        yield warning("folders", expected="to list every folder", got=_some(seen.closed, "no right to"), remedy=remedy)
    if seen.unreadable:
        yield warning("files", expected="to read every file", got=_some(seen.unreadable, "no right to"), remedy=remedy)
    if seen.large:
        yield warning(
            "sizes",
            expected=f"files of at most {settings.max_bytes} bytes",
            got=_some(seen.large, "larger"),
            remedy=f"Raise max_bytes of the source {settings.name}, or exclude them: they become dead letters.",
        )
    if seen.names:
        yield warning(
            "names",
            expected="names in UTF-8",
            got=_some(seen.names, "others"),
            remedy="Rename them: they are left out.",
        )


def _some(paths: Sequence[str], what: str) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return f"{what}: {', '.join(paths[:_SHOWN])}{more}"


def _file_system(root: Path) -> Finding:
    try:
        kind = kind_of(os.path.realpath(root), _MOUNTS.read_text("utf-8", "surrogateescape"))
    except OSError:
        kind = ""
    if kind in NETWORK:
        return warning(
            "file system",
            expected="one that tells of every change (inotify)",
            got=f"{kind}: what other machines write there is found at the next start only",
            remedy="Run Headrace where the files are, or copy them to a local folder (rsync) and read that one.",
        )
    return ok("file system", kind) if kind else note("file system", "its kind cannot be read here")


def _watches(folders: int) -> Finding:
    try:
        most = int((_INOTIFY / "max_user_watches").read_text())
    except (OSError, ValueError):
        return note("inotify", "its limits cannot be read here")
    if folders > most:
        return error(
            "inotify",
            expected=f"a watch for each of {folders} folders",
            got=f"fs.inotify.max_user_watches = {most}",
            remedy="Raise the limit, for instance sysctl fs.inotify.max_user_watches=1048576, or exclude folders.",
        )
    if folders > most // 2:
        return warning(
            "inotify",
            expected=f"room beside the watches for {folders} folders",
            got=f"fs.inotify.max_user_watches = {most}, which all programs of this user share",
            remedy="Raise the limit, for instance sysctl fs.inotify.max_user_watches=1048576.",
        )
    return ok("inotify", f"{folders} of {most} watches are needed")
