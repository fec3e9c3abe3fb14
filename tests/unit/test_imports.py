"""The import direction: it holds in the package, and the check that says so finds what it is meant to find."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def check(src: Path) -> subprocess.CompletedProcess[str]:
    """Run the script as `make check` does."""
    command = [sys.executable, str(ROOT / "scripts" / "check_imports.py"), str(src)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def tree(src: Path, files: dict[str, str]) -> Path:
    """Write a package: path below src/headrace -> its text. Missing __init__.py files are added."""
    for name, text in files.items():
        path = src / "headrace" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for folder in [path for path in (src / "headrace").rglob("*") if path.is_dir()] + [src / "headrace"]:
        (folder / "__init__.py").touch()
    return src


def test_the_package_keeps_the_direction() -> None:
    result = check(ROOT / "src")

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(
            {"change.py": "from headrace.config import Config", "config.py": "Config = 1"},
            "change.py:1: ground change imports settings config",
            id="upward",
        ),
        pytest.param(
            {"sources/postgres.py": "", "knowledge/parse.py": "\nfrom headrace.sources import postgres"},
            "parse.py:2: domain knowledge.parse imports adapter sources.postgres",
            id="domain imports an adapter",
        ),
        pytest.param(
            {"sources/postgres.py": "", "app.py": "import headrace.sources.postgres"},
            "app.py:1: app app imports adapter sources.postgres",
            id="app imports an adapter",
        ),
        pytest.param(
            {"stores/postgres.py": "", "log/embedded.py": "from headrace.stores.postgres import Store"},
            "embedded.py:1: adapter log.embedded imports adapter stores.postgres",
            id="adapter imports another port's adapter",
        ),
        pytest.param(
            {
                "registry.py": 'STORES = ("headrace.stores.postgres:Store", "headrace.stores.lance:Store")',
                "stores/postgres.py": "class Store: ...",
                "stores/lance.py": "import headrace.stores.postgres\nclass Store: ...",
            },
            "lance.py:1: adapter stores.lance imports adapter stores.postgres",
            id="adapter imports an adapter of its port",
        ),
        pytest.param(
            {"knowledge/operator.py": "", "engines/embedded.py": "from ..knowledge.operator import Knowledge"},
            "embedded.py:1: engine engines.embedded imports domain knowledge.operator",
            id="engine imports the domain, relatively",
        ),
        pytest.param(
            {
                "profiles/operator.py": "",
                "knowledge/operator.py": "def f():\n    import headrace.clock",
                "clock.py": "",
            },
            "operator.py:2: clock is imported inside a function",
            id="inside a function",
        ),
        pytest.param(
            {"answer/a.py": "from headrace.answer.b import B", "answer/b.py": "from headrace.answer import a"},
            "import cycle: answer.a -> answer.b -> answer.a",
            id="cycle",
        ),
        pytest.param(
            {"answer/a.py": "from importlib import import_module"},
            "a.py:1: importlib: only registry.py loads modules by name",
            id="importlib elsewhere",
        ),
        pytest.param(
            {"registry.py": 'SOURCES = {"file": "headrace.sources.file:Files"}', "sources/file.py": "class File: ..."},
            "registry.py:1: headrace.sources.file:Files does not exist",
            id="registered name that does not exist",
        ),
        pytest.param(
            {"answer/a.py": "if 0:\n    from headrace.answer.portable import A"},
            "a.py:2: headrace.answer.portable does not exist",
            id="module that does not exist, on a branch that never runs here",
        ),
        pytest.param({"surprise.py": ""}, "surprise belongs to no layer", id="module without a layer"),
    ],
)
def test_a_breach_is_found(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    # given a package with one breach
    src = tree(tmp_path, files)

    # when it is checked
    result = check(src)

    # then the breach is named with file and line
    assert result.returncode == 1, result.stdout + result.stderr
    assert expected in result.stdout


def test_what_is_allowed_passes(tmp_path: Path) -> None:
    src = tree(
        tmp_path,
        {
            "change.py": "",
            "stores/__init__.py": "Transaction = 1",
            "config.py": "from headrace.change import Change",
            "registry.py": "import importlib\nSOURCES = {'postgresql': 'headrace.sources.postgres:open_source'}",
            "sources/postgres/__init__.py": "from .decode import decode\ndef open_source(): ...",
            "sources/postgres/decode.py": "from headrace.change import Change",
            "log/embedded.py": "from headrace.log.codec import decode",
            "log/codec.py": "from headrace.change import Change",
            "knowledge/operator.py": "from headrace.stores import Transaction\nimport json",
            "app.py": "from headrace import config, registry\nfrom headrace.knowledge.operator import Knowledge",
            "cli.py": "from headrace.app import App",
        },
    )

    result = check(src)

    assert result.returncode == 0, result.stdout + result.stderr
