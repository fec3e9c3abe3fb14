"""The data folder: one Headrace at a time works in it."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

from headrace.clock import now_us
from headrace.errors import StoreError


def hold(data: Path) -> int:
    """Makes the folder if need be and takes it: a descriptor to close, which the system does for who is killed.

    Raises StoreError, naming the process that has it.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(
            step="open the data folder",
            expected=f"a folder at {data} that can be written to",
            got=error.strerror or str(error),
            remedy="Let this user write there, or set another [headrace] data.",
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise StoreError(
            step="open the data folder",
            expected=f"{data} to be free",
            got=f"it is in use by process {holder}",
            remedy="Stop that one, or give this one a [headrace] data folder of its own.",
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def own_key(data: Path, name: str, size: int) -> bytes:
    """A secret of this Headrace that nobody else needs: random bytes, made once, which only this user may read.

    Raises StoreError.
    """
    file = data / name
    try:
        if file.exists() and len(key := file.read_bytes()) == size:
            return key
        key, made = secrets.token_bytes(size), data / f"{name}.new"
        made.unlink(missing_ok=True)
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(key)
            out.flush()
            os.fsync(out.fileno())
        made.replace(file)
    except OSError as error:
        raise StoreError(
            step="keep a key in the data folder",
            expected=f"to read and write {file}",
            got=error.strerror or str(error),
            remedy="Let this user write there.",
        ) from None
    return key


def known_identity(data: Path) -> str:
    """What names this Headrace at shared sources; empty before its first start."""
    file = data / "identity"
    return file.read_text().strip() if file.exists() else ""


def identity(data: Path) -> str:
    """What names this Headrace at shared sources: made once, kept beside its data."""
    file = data / "identity"
    if not file.exists():
        file.write_text(f"{now_us():x}"[-10:])
    return file.read_text().strip()
