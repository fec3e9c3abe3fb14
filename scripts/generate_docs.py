"""Writes docs/configuration.md and docs/cli.md from the settings and the commands themselves.

generate_docs.py            write both
generate_docs.py --check    write nothing; exit 1 and name what is not current
"""

import json
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import cast

import typer
from msgspec import NODEFAULT, inspect
from typer.cli import get_docs_for_click

from headrace.config import Config

DOCS = Path(__file__).resolve().parent.parent / "docs"
MADE = "<!-- Written by `make docs`: change the code instead. -->\n"

_NAMES: dict[type[inspect.Type], str] = {
    inspect.StrType: "string",
    inspect.IntType: "integer",
    inspect.FloatType: "float",
    inspect.BoolType: "boolean",
}

CONFIGURATION = """
# Configuration

Headrace reads `headrace.toml` in the current folder, or the file named by `-c`. Folders in it are relative to the file.
An unknown key is an error that names the nearest known one.

A setting of `[headrace]`, `[server]`, `[models]` or `[answer]` can also be set in the environment, by section and name:
`HEADRACE_SERVER__PORT=9000`. Secrets belong in the file by reference only: `${env:NAME}` is read from the
environment, `${file:/path}` from a file. Addresses are shown without passwords and query values.
"""


def configuration() -> str:
    """docs/configuration.md."""
    root = inspect.type_info(Config)
    assert isinstance(root, inspect.StructType)
    return "\n".join([MADE + CONFIGURATION.rstrip(), *_sections(root, "")]) + "\n"


def command_line() -> str:
    """docs/cli.md."""
    app = import_module("headrace.cli").app
    assert isinstance(app, typer.Typer)
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="headrace", title="Command line")
    return f"{MADE}\n{text.strip()}\n"


def _sections(struct: inspect.StructType, prefix: str) -> Iterator[str]:
    """Each table of the TOML file, in the order of the settings; one that only holds tables has no part of its own."""
    for field in struct.fields:
        kind = _plain(field.type)
        many = isinstance(kind, inspect.ListType)
        inner = _plain(kind.item_type) if isinstance(kind, inspect.ListType) else _present(kind)
        if not isinstance(inner, inspect.StructType):
            continue
        name = f"{prefix}{field.encode_name}"
        settings = [each for each in inner.fields if not _holds_tables(each.type)]
        if settings:
            yield _section(f"[[{name}]]" if many else f"[{name}]", inner, settings)
        yield from _sections(inner, f"{name}.")


def _section(heading: str, struct: inspect.StructType, settings: list[inspect.Field]) -> str:
    about = re.sub(r"^`\[.*?\]`[:.]?\s*", "", (struct.cls.__doc__ or "").strip())
    lines = [f"\n## `{heading}`", ""]
    if about:
        lines += [about[0].upper() + about[1:], ""]
    lines += ["| setting | type | default | meaning |", "| --- | --- | --- | --- |"]
    for each in settings:
        lines.append(f"| `{each.encode_name}` | {_type(each.type)} | {_default(each)} | {_meaning(each.type)} |")
    return "\n".join(lines)


def _plain(kind: inspect.Type) -> inspect.Type:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _present(kind: inspect.Type) -> inspect.Type:
    """A table that may be missing, as one that is there."""
    tables = [k for k in kind.types if isinstance(k, inspect.StructType)] if isinstance(kind, inspect.UnionType) else []
    return tables[0] if tables else kind


def _holds_tables(kind: inspect.Type) -> bool:
    plain = _plain(kind)
    inner = _plain(plain.item_type) if isinstance(plain, inspect.ListType) else _present(plain)
    return isinstance(inner, inspect.StructType)


def _type(kind: inspect.Type) -> str:
    """A type in TOML's words."""
    plain = _plain(kind)
    if isinstance(plain, inspect.UnionType):
        return " or ".join(_type(each) for each in plain.types if not isinstance(each, inspect.NoneType))
    if isinstance(plain, inspect.ListType):
        return f"array of {_type(plain.item_type)}s"
    if isinstance(plain, inspect.DictType):
        return f"table of {_type(plain.value_type)}s"
    if isinstance(plain, inspect.LiteralType):
        return "string"
    for known, name in _NAMES.items():
        if isinstance(plain, known):
            return name
    raise TypeError(f"no word for a setting of type {plain}: add it to _NAMES")


def _default(field: inspect.Field) -> str:
    if field.required:
        return "required"
    value = field.default_factory() if field.default_factory is not NODEFAULT else field.default
    return "" if value is None or value in ([], {}) else f"`{json.dumps(value, ensure_ascii=False)}`"


def _meaning(kind: inspect.Type) -> str:
    """The description that the setting's own annotation carries, with its limits."""
    if not isinstance(kind, inspect.Metadata):
        raise TypeError(f"a setting of type {kind} has no description: add Meta(description=...) in headrace.config")
    schema = cast("dict[str, object]", kind.extra_json_schema)  # pyright: ignore[reportUnknownMemberType]
    return str(schema["description"]).replace("|", "\\|") + _limits(kind.type)


def _limits(kind: inspect.Type) -> str:
    if not isinstance(kind, inspect.IntType) or (kind.ge is None and kind.le is None):
        return ""
    if kind.le is None:
        return f" (at least {kind.ge})"
    return f" ({kind.ge} to {kind.le})"


DOCUMENTS = {"configuration.md": configuration, "cli.md": command_line}


def main(arguments: list[str]) -> int:
    """Write the documents, or check that they are current."""
    made = {name: make() for name, make in DOCUMENTS.items()}
    stale = [name for name, text in made.items() if not _is(DOCS / name, text)]
    if "--check" in arguments:
        for name in stale:
            print(f"docs/{name} is not current: run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).write_text(made[name])
        print(f"docs/{name}: written")
    return 0


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
