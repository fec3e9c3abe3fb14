"""Why a file or a folder cannot be given: what to say of each, and its short code in the state."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NamedTuple

from headrace.errors import BadInput, SourceError


class Reason(NamedTuple):
    """`code` tells one kind of failure from another; the error is for people."""

    code: str
    error: BadInput


class Outage(SourceError):
    """The folder is not there, or does not answer: it is waited for, and its documents stay as they are."""


def is_text(path: str) -> bool:
    """Whether a path is UTF-8: other bytes stand as lone surrogates in it."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def key_of(path: str) -> str:
    """A path as text: bytes that are not UTF-8 as `\\xff`."""
    return os.fsencode(path).decode(errors="backslashreplace")


def name_not_text(path: str) -> Reason:
    error = BadInput(
        step="read a file's name",
        expected="UTF-8",
        got=key_of(path),
        remedy="Rename it; it is read then.",
    )
    return Reason("name", error)


def unreadable(path: str, error: OSError) -> Reason:
    denied = error.errno in (errno.EACCES, errno.EPERM)
    remedy = (
        "Let the user that runs Headrace read it (chmod, chown); it is read then."
        if denied
        else "Mend the storage it lies on, then retry it."
    )
    failure = BadInput(
        step="read a file",
        expected="a file that can be read",
        got=f"{path}: {error.strerror or 'an error'}",
        remedy=remedy,
    )
    return Reason(errno.errorcode.get(error.errno or 0, "error"), failure)


def too_large(path: str, size: int, most: int, source: str) -> Reason:
    error = BadInput(
        step="read a file",
        expected=f"at most {most} bytes",
        got=f"{path}: {size} bytes",
        remedy=f"Raise max_bytes of the source {source}, or exclude the file.",
    )
    return Reason("size", error)


def never_rests(path: str) -> Reason:
    error = BadInput(
        step="read a file",
        expected="a file that stays the same while it is read",
        got=f"{path}: changed during each of many attempts",
        remedy="Write it elsewhere and rename it into place, or exclude it; it is read again after its next change.",
    )
    return Reason("busy", error)


def folder_closed(path: str, why: str) -> Reason:
    error = BadInput(
        step="list a folder",
        expected="a folder that can be listed",
        got=f"{key_of(path)}: {why}",
        remedy="Let the user that runs Headrace list it (chmod, chown); its files are read then.",
    )
    return Reason("folder", error)


def missing(root: Path) -> Outage:
    return Outage(
        step="open a folder",
        expected="a folder of documents",
        got=f"nothing at {root}",
        remedy="Create it, mount it, or fix the source's url; documents read before stay as they are until then.",
    )


def not_a_folder(root: Path) -> Outage:
    return Outage(
        step="open a folder",
        expected="a folder of documents",
        got=f"something else at {root}",
        remedy="Fix the source's url: it names the folder that holds the documents.",
    )


def root_closed(root: Path, why: str) -> Outage:
    return Outage(
        step="list a folder",
        expected="a folder that can be listed",
        got=f"{root}: {why}",
        remedy="Let the user that runs Headrace list it (chmod, chown).",
    )


def root_emptied(root: Path, documents: int) -> Outage:
    return Outage(
        step="compare a folder with what was read before",
        expected=f"the folder that held {documents} documents",
        got=f"another folder at {root}, and an empty one",
        remedy="Mount what belongs there. If they are really gone, put one document in: the others are deleted then.",
    )


def storage(root: Path, error: OSError) -> Outage:
    return Outage(
        step="read a folder",
        expected="storage that answers",
        got=f"{root}: {error.strerror or 'an error'}",
        remedy="Mend the storage it lies on; reading goes on by itself then.",
    )
