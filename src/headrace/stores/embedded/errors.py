"""What can go wrong with an embedded PostgreSQL, told from what its programs print."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from headrace.errors import StoreError

_SEVERE = re.compile(r"(?:(?:FATAL|PANIC|initdb: error):|error while loading shared libraries:).*")
_LINES = 4


class DataDirectoryInUse(StoreError):
    """Another process holds the data directory."""

    status = 409
    title = "The data directory is in use"


class DataDirectoryUnusable(StoreError):
    """The data directory is of another version, of another user, or damaged."""

    title = "The data directory cannot be used"


class DiskFull(StoreError):
    """The disk under the data directory has no room."""

    status = 507
    title = "The disk is full"


class PostgresFailed(StoreError):
    """PostgreSQL did not start."""

    title = "The embedded PostgreSQL did not start"


class PostgresDied(StoreError):
    """PostgreSQL ended while it was in use. What was committed to disk is there again at the next start."""

    title = "The embedded PostgreSQL ended"


def in_use(data: Path, holder: str, remedy: str) -> DataDirectoryInUse:
    return DataDirectoryInUse(
        step="opening the data directory",
        expected=f"{data} to be free",
        got=f"it is held by {holder}",
        remedy=remedy,
    )


def disk_full(step: str, data: Path, got: str) -> DiskFull:
    return DiskFull(
        step=step,
        expected=f"room on the disk of {data}",
        got=got,
        remedy="Free some space there and start again: nothing that was committed is lost.",
    )


def unusable(data: Path, expected: str, got: str, remedy: str) -> DataDirectoryUnusable:
    return DataDirectoryUnusable(
        step="opening the data directory", expected=f"{expected} in {data}", got=got, remedy=remedy
    )


def from_os(step: str, data: Path, problem: OSError) -> StoreError:
    """The error of a file operation of ours in the data directory."""
    got = problem.strerror or str(problem)
    if problem.filename is not None:
        got = f"{problem.filename}: {got}"
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(step, data, got)
    return PostgresFailed(
        step=step,
        expected=f"a data directory at {data} that this user may create and write",
        got=got,
        remedy="Give this user the directory, or choose another in `data`.",
    )


def from_output(step: str, data: Path, output: str, code: int) -> StoreError:
    """The error that a program's output speaks of; `code` is how it ended (negative: the signal)."""
    last = output.strip().rpartition("\n")[2]
    got = severe(output) or "; ".join(filter(None, (ending(code), last)))
    if "No space left on device" in output or "Disk quota exceeded" in output:
        return disk_full(step, data, got)
    if "effective user ID" in output:
        expected, remedy = "a user that the system knows by name", "Add this user id to /etc/passwd."
    elif "unrecognized configuration parameter" in output or "invalid value for parameter" in output:
        expected, remedy = "settings that PostgreSQL knows", "Correct the setting."
    elif "Permission denied" in output:
        expected = f"a PostgreSQL user that can reach {data}"
        remedy = "Choose a `data` directory in a place that all users may pass through."
    elif "could not access directory" in output or "Operation not permitted" in output:
        expected, remedy = "a file system for PostgreSQL", "Choose a `data` directory on a local disk."
    else:
        expected = "PostgreSQL to start"
        remedy = (
            f"See {data / 'postgres.log'}. If the files there are damaged, restore a backup; or move {data} away, "
            "and everything that comes from sources is built again."
        )
    return PostgresFailed(step=step, expected=expected, got=got, remedy=remedy)


def severe(output: str) -> str:
    """The last lines that tell why a program ended, without their time stamps; empty when there are none."""
    found = [
        matched.group().strip()
        for line in output.splitlines()
        if (matched := _SEVERE.search(line)) and "terminating connection" not in line
    ]
    return "; ".join(dict.fromkeys(found[-_LINES:]))


def ending(code: int) -> str:
    return f"it was killed by signal {-code}" if code < 0 else f"it ended with code {code}"
