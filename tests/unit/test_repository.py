"""What the repository promises about itself: version, commands, licences, SQL, and nothing of one machine."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def tracked() -> list[Path]:
    """Every file that git knows, present in the work tree."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git clone")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def texts() -> list[tuple[str, str]]:
    """(path, text) of every tracked text file."""
    found: list[tuple[str, str]] = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data[:8000]:
            found.append((str(path.relative_to(ROOT)), data.decode(errors="replace")))
    return found


def test_changelog_begins_with_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    newest = re.search(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert newest is not None
    assert newest[1] == version


def test_every_make_command_in_the_documents_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z]+)(?: [a-z]+)*:", MAKEFILE, re.MULTILINE))
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]

    for document in documents:
        named = set(re.findall(r"`make ([a-z]+)|^ *make ([a-z]+)", document.read_text(), re.MULTILINE))
        commands = {code or block for code, block in named}
        assert commands <= targets, f"{document.name}: {commands - targets}"


def test_readme_shows_the_two_commands_and_the_page() -> None:
    assert "make demo" in README
    assert "make test" in README
    assert len(README.splitlines()) <= 120, "the README is to fit a screen or two"


def test_every_local_link_in_the_documents_leads_somewhere() -> None:
    broken: list[str] = []
    for path in tracked():
        if path.suffix != ".md" or "demo" in path.parts:
            continue
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
            if "://" not in target and not (path.parent / target).exists():
                broken.append(f"{path.relative_to(ROOT)}: {target}")

    assert broken == []


def test_every_script_that_make_runs_exists() -> None:
    named = set(re.findall(r"scripts/[\w.]+", MAKEFILE + (ROOT / ".ci" / "run").read_text()))

    assert named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_type_information_is_shipped() -> None:
    assert (ROOT / "src" / "headrace" / "py.typed").exists()


def test_the_licence_is_apache_2_and_data_of_others_has_its_own() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert "END OF TERMS AND CONDITIONS" in (ROOT / "LICENSE").read_text()
    assert (ROOT / "src" / "headrace" / "demo" / "data" / "LICENSE").stat().st_size > 0


def test_sql_files_are_small_and_say_what_they_are_for() -> None:
    # Named statements are checked where they are loaded; every file begins by saying what it holds.
    files = sorted((ROOT / "src").rglob("*.sql"))

    assert files
    assert [path.name for path in files if not path.read_text().lstrip().startswith("--")] == []


def test_migrations_are_numbered_without_a_gap() -> None:
    numbers = sorted(
        int(path.name.split("_")[0]) for path in (ROOT / "src/headrace/stores/migrations").glob("[0-9]*.sql")
    )

    assert numbers == list(range(1, len(numbers) + 1))


def test_nothing_names_one_machine() -> None:
    # Absolute paths of somebody's machine; written so that this file does not match itself.
    machine = re.compile(r"(?<![\w.])/(?:" + "|".join(["work", "home/[a-z]", "Users/[a-z]", "root/\\.[a-z]"]) + r")\b")
    found = [
        f"{name}: {match.group()}"
        for name, text in texts()
        if not name.endswith((".lock", "package-lock.json"))
        for match in machine.finditer(text)
    ]

    assert found == []


def test_no_secret_is_committed() -> None:
    secret = re.compile(
        r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\n[A-Za-z0-9+/=]{40}|\bAKIA[0-9A-Z]{16}\b|\bsk-[A-Za-z0-9]{40,}"
    )

    assert [name for name, text in texts() if secret.search(text)] == []


def test_no_large_file_is_committed() -> None:
    assert [str(path) for path in tracked() if path.stat().st_size > 5_000_000] == []
