"""The set-up of a clone: which Python, which uv, what a failing step says."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from get_uv import Wheel, ensure_uv, read_lock, unpack, wheel_for
from progress import Step, StepFailed, run_together

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "uv.lock"


def program(folder: Path, name: str, script: str) -> None:
    """Put an executable shell script into a folder."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def only_path(folder: Path) -> dict[str, str]:
    """An environment that finds nothing but `folder` and what bootstrap.sh itself calls."""
    for tool in ("dirname", "cat"):
        found = shutil.which(tool)
        assert found
        (folder / tool).symlink_to(found)
    return {"PATH": str(folder)}


def bootstrap(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(ROOT / "scripts" / "bootstrap.sh"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_an_old_python_is_named_and_not_used(tmp_path: Path) -> None:
    # given a machine whose only Python is 3.9
    program(tmp_path, "python3", 'case "$2" in *print*) echo 3.9.2;; *) exit 1;; esac')

    # when the set-up starts
    result = bootstrap(only_path(tmp_path), "uv")

    # then it says what it found, what it needs and how to go on
    assert result.returncode == 1
    assert "needs Python 3.11 or newer" in result.stderr
    assert f"{tmp_path}/python3 (3.9.2)" in result.stderr
    assert "make demo PYTHON=" in result.stderr


def test_no_python_at_all_is_said(tmp_path: Path) -> None:
    result = bootstrap(only_path(tmp_path), "uv")

    assert result.returncode == 1
    assert "nothing named python3 or python is on PATH" in result.stderr


def test_python_named_by_hand_is_used_first(tmp_path: Path) -> None:
    # given an old Python on PATH, a good one elsewhere, and a uv
    program(tmp_path, "python3", "exit 1")
    program(tmp_path, "uv", 'echo "uv 0.13.9"')

    # when PYTHON names the good one
    result = bootstrap({**only_path(tmp_path), "PYTHON": sys.executable}, "uv")

    # then the set-up runs, and the uv on PATH is good enough
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str(tmp_path / "uv")


def test_an_old_uv_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given an old uv on PATH and the pinned one in the clone
    program(tmp_path, "uv", 'echo "uv 0.4.30"')
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("UV", raising=False)
    clone = tmp_path / "a clone"
    pinned = clone / ".uv" / read_lock(LOCK).version / "bin" / "uv"
    pinned.parent.mkdir(parents=True)
    pinned.touch()
    shutil.copy(LOCK, clone / "uv.lock")

    # when uv is asked for, then it is the pinned one
    assert ensure_uv(clone) == pinned


@pytest.mark.parametrize(
    ("system", "machine", "libc", "expected"),
    [
        ("Linux", "x86_64", "glibc", "manylinux_2_17_x86_64"),
        ("Linux", "aarch64", "glibc", "manylinux_2_17_aarch64"),
        ("Linux", "x86_64", "", "musllinux_1_1_x86_64"),
        ("Darwin", "arm64", "", "macosx_11_0_arm64"),
        ("Darwin", "x86_64", "", "macosx_10_12_x86_64"),
    ],
)
def test_the_lock_has_a_uv_for_each_platform(system: str, machine: str, libc: str, expected: str) -> None:
    wheel = wheel_for(read_lock(LOCK), system, machine, libc)

    assert wheel is not None
    assert expected in wheel.platforms


def test_an_unknown_platform_has_none() -> None:
    assert wheel_for(read_lock(LOCK), "Plan9", "mips", "") is None


def test_a_wheel_is_unpacked_only_with_the_locked_hash(tmp_path: Path) -> None:
    # given a wheel with a program
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("uv-1.data/scripts/uv", "#!/bin/sh\necho here\n")
        archive.writestr("uv-1.dist-info/METADATA", "")
    data = buffer.getvalue()
    good = Wheel("https://example.org/uv-1-py3-none-any.whl", hashlib.sha256(data).hexdigest())

    # when its hash is the locked one, then the program is there and runs
    unpack(data, good, tmp_path / "good")
    assert subprocess.check_output([tmp_path / "good" / "bin" / "uv"], text=True) == "here\n"

    # when it is another, then nothing is written
    with pytest.raises(StepFailed, match=r"uv\.lock expects"):
        unpack(data + b"x", good, tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_steps_run_side_by_side_and_say_how_long(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # given two steps that each wait for the other
    here, there = tmp_path / "here", tmp_path / "there"
    wait = "while [ ! -e {1} ]; do :> {0}; done; :> {0}"
    steps = [
        Step("one", ["/bin/sh", "-c", wait.format("here", "there")], tmp_path, dict(os.environ), "finished"),
        Step("two", ["/bin/sh", "-c", wait.format("there", "here")], tmp_path, dict(os.environ)),
    ]

    # when they run together, then both end
    run_together(steps)

    assert here.exists()
    assert there.exists()
    assert "one: finished in " in capfd.readouterr().err


def test_a_failing_step_shows_its_output_and_ends_the_others(tmp_path: Path) -> None:
    steps = [
        Step("bad", ["/bin/sh", "-c", "echo no space left; exit 3"], tmp_path, dict(os.environ)),
        Step("long", ["/bin/sh", "-c", "echo $$ > pid; exec sleep 600"], tmp_path, dict(os.environ)),
    ]

    with pytest.raises(StepFailed, match=r"bad failed \(exit 3\):\nno space left"):
        run_together(steps)

    pid = tmp_path / "pid"
    if pid.exists() and pid.read_text():  # it may have been ended between opening and writing
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)
