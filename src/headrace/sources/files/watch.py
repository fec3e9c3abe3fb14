"""Linux: hints by inotify(7), called directly.

A library (asyncinotify 4.4) was measured first: it gives one event an await, 5 us each against 1.4 here, keeps the
path that a folder had when it was first watched, and cannot say that everything queued so far has been read, which is
what a synchronised watch stands on.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import errno
import fcntl
import os
import struct
import termios
from pathlib import Path

from headrace.errors import SourceError
from headrace.sources.files.hints import Hint, Kind

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF = 0x400, 0x800
_Q_OVERFLOW, _IGNORED, _ISDIR = 0x4000, 0x8000, 0x40000000
_ONLYDIR, _DONT_FOLLOW, _EXCL_UNLINK = 0x01000000, 0x02000000, 0x04000000

_CONTENT = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_MASK = _CONTENT | _DELETE_SELF | _MOVE_SELF | _ONLYDIR | _EXCL_UNLINK

_HEADER = struct.Struct("iIII")  # struct inotify_event: wd, mask, cookie, len; then the name, padded with zeros
_LEAST = _HEADER.size + 256

_FILE_KINDS = (
    (_CLOSE_WRITE, Kind.WRITTEN),
    (_MOVED_TO, Kind.ARRIVED),
    (_MOVED_FROM, Kind.LEFT),
    (_DELETE, Kind.GONE),
    (_CREATE, Kind.CREATED),
    (_MODIFY, Kind.MODIFIED),
    (_ATTRIB, Kind.TOUCHED),
)

_libc = ctypes.CDLL(None, use_errno=True)


def _call(function: str, *args: object) -> int:
    result: int = getattr(_libc, function)(*args)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


class InotifyWatch:
    """A `Watch` on one inotify instance.

    The kernel queues an event before the system call that causes it returns, so reading as many bytes as are queued
    (FIONREAD) gives the events of everything that ended before. Raises SourceError when an instance is not to be had.
    """

    exact = True

    def __init__(self, root: Path) -> None:
        self._root = os.fsencode(root)
        self._paths: dict[int, str] = {}
        self._watches: dict[str, int] = {}
        try:
            self._fd = _call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise SourceError(
                step="watch a folder",
                expected="an inotify instance",
                got=error.strerror or "an error",
                remedy="Raise the limit: sysctl fs.inotify.max_user_instances (128 by default) and ulimit -n.",
            ) from error

    def fileno(self) -> int:
        return self._fd

    def add(self, path: str) -> None:
        full = os.path.join(self._root, os.fsencode(path)) if path else self._root  # noqa: PTH118 - bytes
        try:
            watch = _call("inotify_add_watch", self._fd, full, _MASK | (_DONT_FOLLOW if path else 0))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise SourceError(
                step="watch a folder",
                expected=f"a watch for each of its folders, {len(self._paths) + 1} so far",
                got="no more watches for this user",
                remedy="Raise the limit, for instance sysctl fs.inotify.max_user_watches=1048576, or exclude folders.",
            ) from error
        earlier = self._paths.get(watch)  # one folder has one watch: found again under another name it has moved
        if earlier is not None and self._watches.get(earlier) == watch:
            del self._watches[earlier]
        self._paths[watch] = path
        self._watches[path] = watch

    def forget(self, path: str) -> None:
        below = path + "/"
        for known in [p for p in self._watches if p == path or p.startswith(below)]:
            watch = self._watches.pop(known)
            self._paths.pop(watch, None)
            with contextlib.suppress(OSError):  # the folder may be deleted already, and its watch with it
                _call("inotify_rm_watch", self._fd, watch)

    def read(self) -> list[Hint]:
        waiting = array.array("i", [0])
        fcntl.ioctl(self._fd, termios.FIONREAD, waiting)
        left, hints = waiting[0], list[Hint]()
        while left > 0:
            try:
                data = os.read(self._fd, max(left, _LEAST))
            except BlockingIOError:
                break
            left -= len(data)
            self._decode(data, hints)
        return hints

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _decode(self, data: bytes, hints: list[Hint]) -> None:
        at = 0
        while at < len(data):
            watch, mask, cookie, size = _HEADER.unpack_from(data, at)
            at += _HEADER.size + size
            if mask & _Q_OVERFLOW:
                hints.append(Hint(Kind.OVERFLOW, "", tree=True))
            elif mask & _IGNORED:
                self._dropped(watch)
            elif (folder := self._paths.get(watch)) is not None and mask & _CONTENT:
                name = os.fsdecode(data[at - size : at].rstrip(b"\0"))
                hints.append(self._hint(mask, cookie, f"{folder}/{name}" if folder and name else folder or name))

    def _hint(self, mask: int, cookie: int, path: str) -> Hint:
        kind = next(kind for bit, kind in _FILE_KINDS if mask & bit)
        tree = bool(mask & _ISDIR)
        if tree and kind is Kind.LEFT:  # its watches move along and would go on to speak in the old name
            self.forget(path)
        return Hint(kind, path, cookie, tree)

    def _dropped(self, watch: int) -> None:
        path = self._paths.pop(watch, None)
        if path is not None and self._watches.get(path) == watch:
            del self._watches[path]
