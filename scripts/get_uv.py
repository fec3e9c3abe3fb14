"""Finds uv, or puts the version that uv.lock pins into the clone, under .uv/.

pip does it where there is one, with the user's own index and proxy settings. A Python without pip (Debian's, say)
fetches the wheel itself. Either way the file must have the SHA-256 that uv.lock names.
"""

import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

from progress import StepFailed, say

OLDEST_UV = (0, 8)
_DOWNLOAD_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file of a locked package: where it is, and the SHA-256 (hex) that it must have."""

    url: str
    sha256: str

    @property
    def platforms(self) -> list[str]:
        """Platform tags of the file name, such as `manylinux_2_17_x86_64`."""
        return self.url.rsplit("/", 1)[-1].removesuffix(".whl").rsplit("-", 1)[-1].split(".")


@dataclass(frozen=True, slots=True)
class LockedUv:
    """The uv that uv.lock pins."""

    version: str
    wheels: tuple[Wheel, ...]


def ensure_uv(root: Path) -> Path:
    """Return a uv that is new enough: $UV, the one on PATH, or the pinned one, installed into `root`/.uv if need be."""
    for candidate in (os.environ.get("UV"), shutil.which("uv")):
        if candidate and _new_enough(candidate):
            return Path(candidate)
    locked = read_lock(root / "uv.lock")
    home = root / ".uv" / locked.version
    binary = home / "bin" / "uv"
    if not binary.exists():
        _install(locked, home)
    return binary


def read_lock(lock: Path) -> LockedUv:
    """Read the pinned uv from a uv.lock."""
    package = next(p for p in tomllib.loads(lock.read_text())["package"] if p["name"] == "uv")
    wheels = tuple(Wheel(w["url"], w["hash"].removeprefix("sha256:")) for w in package["wheels"])
    return LockedUv(package["version"], wheels)


def wheel_for(locked: LockedUv, system: str, machine: str, libc: str) -> Wheel | None:
    """The wheel that runs on a platform, as `platform.system()`, `.machine()` and `.libc_ver()[0]` name it."""
    family = {"Linux": "manylinux" if libc == "glibc" else "musllinux", "Darwin": "macosx"}.get(system)
    if family is None:
        return None
    fitting = [w for w in locked.wheels if any(t.startswith(family) and t.endswith(f"_{machine}") for t in w.platforms)]
    return min(fitting, key=lambda wheel: wheel.url.rsplit("/", 1)[-1], default=None)


def unpack(data: bytes, wheel: Wheel, home: Path) -> None:
    """Check a wheel's bytes and put its programs into `home`/bin; raises StepFailed when the hash differs."""
    digest = hashlib.sha256(data).hexdigest()
    if digest != wheel.sha256:
        raise StepFailed(f"{wheel.url} has SHA-256 {digest}, uv.lock expects {wheel.sha256}: not used")
    (home / "bin").mkdir(parents=True)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            if ".data/scripts/" in name and not name.endswith("/"):
                program = home / "bin" / name.rsplit("/", 1)[-1]
                program.write_bytes(archive.read(name))
                program.chmod(0o755)


def _new_enough(uv: str) -> bool:
    try:
        shown = subprocess.run([uv, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    numbers = re.search(r"(\d+)\.(\d+)", shown)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= OLDEST_UV


def _install(locked: LockedUv, home: Path) -> None:
    say(f"uv {locked.version}: not here yet, getting it into {home.parent.name}/ ...")
    home.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix="partial-") as scratch:
        staged = Path(scratch) / "uv"
        pip_problem = _by_pip(locked, staged)
        if pip_problem is not None:
            _by_download(locked, staged, pip_problem)
        if not home.exists():  # another make in the same clone may have been quicker
            staged.rename(home)
    say(f"uv {locked.version}: installed")


def _by_pip(locked: LockedUv, home: Path) -> str | None:
    """Install with pip; returns why it could not, or None when it did."""
    pinned = home.parent / "requirements.txt"
    hashes = " ".join(f"--hash=sha256:{wheel.sha256}" for wheel in locked.wheels)
    pinned.write_text(f"uv=={locked.version} {hashes}\n")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", "--target", str(home), "-r", str(pinned)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode == 0 and (home / "bin" / "uv").exists():
        return None
    shutil.rmtree(home, ignore_errors=True)
    return (done.stderr or done.stdout).strip()[-600:] or f"pip exited {done.returncode}"


def _by_download(locked: LockedUv, home: Path, pip_problem: str) -> None:
    wheel = wheel_for(locked, platform.system(), platform.machine(), platform.libc_ver()[0])
    if wheel is None:
        where = f"{platform.system()} {platform.machine()}"
        raise StepFailed(f"uv {locked.version} has no wheel for {where}. Install uv yourself, then run make again.")
    try:
        with urllib.request.urlopen(wheel.url, timeout=_DOWNLOAD_TIMEOUT_S) as response:  # noqa: S310  the lock's https address
            data = response.read()
    except OSError as error:
        raise StepFailed(
            f"uv could not be installed.\n  by pip: {pip_problem}\n  by download of {wheel.url}: {error}\n"
            "Check the network (proxy, certificates), or install uv yourself and run make again."
        ) from error
    unpack(data, wheel, home)
