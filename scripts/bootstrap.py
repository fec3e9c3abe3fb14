"""Sets a clone up: uv, the packages of the groups asked for, the model file and the page.

    bootstrap.py demo     what `headrace demo` needs
    bootstrap.py dev      everything: tests, checks and benchmarks too
    bootstrap.py packages everything but the model file and the page
    bootstrap.py uv       only uv; prints its path

Standard library only: it runs before anything is installed. What is current already is left as it is.
"""

import os
import subprocess
import sys
from pathlib import Path

from get_uv import ensure_uv
from progress import Step, StepFailed, run_together, say

ROOT = Path(__file__).resolve().parent.parent
GROUPS = {"demo": ("build",), "dev": ("build", "dev", "bench"), "packages": ("build", "dev", "bench")}


def main(arguments: list[str]) -> int:
    """Do what the argument asks for; returns the exit status."""
    if len(arguments) != 1 or arguments[0] not in {*GROUPS, "uv"}:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        uv = ensure_uv(ROOT)
        if arguments[0] == "uv":
            print(uv)
            return 0
        sync(uv, GROUPS[arguments[0]])
        if arguments[0] != "packages":
            build_artifacts()
    except StepFailed as failure:
        print(f"\nThe set-up stopped: {failure}", file=sys.stderr)
        return 1
    say("ready")
    return 0


def sync(uv: Path, groups: tuple[str, ...]) -> None:
    """Bring .venv to what uv.lock says for these groups; packages of other groups stay."""
    command = [str(uv), "sync", "--frozen", "--inexact", "--no-default-groups"]
    for group in groups:
        command += ["--group", group]
    if not (ROOT / ".venv" / "bin" / "python").exists():
        command += ["--python", sys.executable]
    if sys.stderr.isatty():  # uv draws its own progress
        say("packages ...")
        if subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode != 0:
            raise StepFailed("uv sync failed; its message is above")
        return
    run_together([Step("packages", command, ROOT, environment(), "in place")])


def build_artifacts() -> None:
    """Make the model file and the page, at the same time; each is skipped by its own builder when it is current."""
    python = str(ROOT / ".venv" / "bin" / "python")
    run_together(
        [
            Step("model file", [python, "-m", "headrace.models.build_minilm"], ROOT, environment(), "current"),
            Step("page", [python, "scripts/build_page.py"], ROOT, environment(), "current"),
        ]
    )


def environment() -> dict[str, str]:
    """The caller's environment without what would make uv use another environment than the clone's .venv."""
    dropped = {"VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "PYTHONHOME", "PYTHONPATH"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, "UV_PYTHON_DOWNLOADS": "never", "PYTHONUNBUFFERED": "1"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
