"""Rows that are documents too: a sandboxed Jinja2 template makes the text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation

import msgspec
from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from headrace.access import Readers, readers
from headrace.change import Change, Row, Schema, Value, key_text
from headrace.errors import BadInput, ConfigError
from headrace.metadata import Metadata, flat, metadata_of

VERSION = 1
"""Raised when the same template may give another text for the same row."""
JSON_TYPES = frozenset({"json", "jsonb"})


@dataclass(frozen=True, slots=True)
class RowTemplate:
    """How the rows of one topic read."""

    topic: str
    template: Template
    text: str
    owner: str | None = None
    groups: str | None = None
    """Columns that say whom a row is for."""
    metadata: tuple[str, ...] = ()
    """Columns that are its metadata."""

    def said(self, change: Change) -> Metadata:
        """The row's metadata. Raises BadInput for a column that is not there."""
        if not self.metadata:
            return {}
        assert change.after is not None
        try:
            read = {
                c: _plainly(change.after[n := change.schema.index(c)], change.schema.columns[n].type)
                for c in self.metadata
            }
        except KeyError as error:
            raise BadInput(
                step=f"read the metadata of {self.topic} {key_text(change.key)}",
                expected="columns of the table: " + ", ".join(c.name for c in change.schema.columns),
                got=f"no column {error}",
                remedy="Correct `metadata` of that entry in headrace.toml.",
            ) from None
        return metadata_of(dict(flat(read)))

    def readers(self, change: Change) -> Readers | None:
        """Whom the row after the change is for: with such columns, those that they name and nobody else. Raises
        BadInput."""
        if self.owner is None and self.groups is None:
            return None
        try:
            owner = None if self.owner is None else _text(_column(change, self.owner))
            groups = () if self.groups is None else names_in(_column(change, self.groups))
            return readers(owner or "", groups)
        except (KeyError, ValueError) as error:
            raise BadInput(
                step=f"read whom {self.topic} {key_text(change.key)} is for",
                expected="a user in the column owner, and an array, a JSON array or a list with commas in groups",
                got=f"no column {error}" if isinstance(error, KeyError) else str(error),
                remedy="Correct the row, or the columns of that entry in headrace.toml; nobody can read it until then.",
            ) from None

    def render(self, change: Change) -> str:
        """The text of the row after the change. Raises BadInput when the template does not fit the row."""
        assert change.after is not None
        return render(self.template, change.schema, change.after, f"{self.topic} {key_text(change.key)}")


def row_template(
    topic: str, text: str, owner: str | None = None, groups: str | None = None, metadata: Sequence[str] = ()
) -> RowTemplate:
    """Compiles a template. Raises ConfigError."""
    return RowTemplate(topic, compile_template(topic, text), text, owner, groups, tuple(metadata))


def names_in(value: Value) -> Sequence[str]:
    """Names in a column: PostgreSQL's array, a JSON array, or text with commas. Raises ValueError."""
    text = _text(value).strip()
    if text.startswith("["):
        return _of_json(text)
    if text.startswith("{"):
        return _of_array(text)
    return text.split(",")


def _of_json(text: str) -> Sequence[str]:
    try:
        found = msgspec.json.decode(text, type=list[str | int | None])
    except msgspec.MsgspecError:
        raise ValueError("something else than a JSON array of names") from None
    return [str(name) for name in found if name is not None]


_ELEMENT = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^",{}\\\s](?:[^",{}\\]|\\.)*))\s*(?:,|\Z)', re.DOTALL)


def _of_array(text: str) -> Sequence[str]:
    """As array_out writes it: elements that need it between double quotes, with backslashes before what is special."""
    if not text.endswith("}"):
        raise ValueError("an array without its end")
    inside, found, at = text[1:-1], list[str](), 0
    while at < len(inside):
        match = _ELEMENT.match(inside, at)
        if match is None or (match.end() == len(inside) and inside.endswith(",")):
            raise ValueError("something else than an array of names in one dimension")
        quoted, plain = match.groups()
        if quoted is not None:
            found.append(re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL))
        elif plain.strip().upper() != "NULL":
            found.append(re.sub(r"\\(.)", r"\1", plain.strip(), flags=re.DOTALL))
        at = match.end()
    return found


_NUMERIC = frozenset("numeric decimal int2 int4 int8 float4 float8".split())
_TIMES = frozenset({"timestamp", "timestamptz", "datetime"})


def _plainly(value: Value, kind: str) -> object:
    """A column's value as somebody would write it: numbers as numbers, arrays as lists, times as ISO 8601 has them."""
    if not isinstance(value, str):
        return None if isinstance(value, bytes) else value
    kind = kind.lower().partition("(")[0].strip()
    try:
        if kind in JSON_TYPES:
            return msgspec.json.decode(value)
        if kind in _NUMERIC:
            return int(value) if re.fullmatch(r"[-+]?\d{1,300}", value) else float(value)
        if kind == "bool":
            return {"t": True, "f": False}.get(value, value)
        if kind in _TIMES:
            return datetime.fromisoformat(value)
        if kind.startswith("_") or kind.endswith("[]"):
            inside = kind.removeprefix("_").removesuffix("[]")
            return [_plainly(element, inside) for element in names_in(value)]
    except (ValueError, msgspec.MsgspecError):  # such as `infinity`: as it stands
        return value
    return value


def _column(change: Change, name: str) -> Value:
    assert change.after is not None
    return change.after[change.schema.index(name)]


def _text(value: Value) -> str:
    if isinstance(value, bytes | bool | float):
        raise ValueError(f"a {type(value).__name__}")
    return "" if value is None else str(value)


def compile_template(topic: str, text: str) -> Template:
    try:
        return _environment.from_string(text)
    except TemplateError as error:
        raise ConfigError(
            step=f"read the template of {topic}",
            expected="a Jinja2 template over the row's columns",
            got=str(error),
            remedy="Correct `text` of that entry in headrace.toml.",
        ) from None


def render(template: Template, schema: Schema, row: Row, what: str) -> str:
    """A template over one row, its JSON columns parsed. Raises BadInput."""
    try:
        return template.render(_plain(schema, row)).strip()
    except Exception as error:  # noqa: BLE001 - a person's template may fail in any way; it costs its row only
        raise BadInput(
            step=f"render the text of {what}",
            expected="a template that fits the row: " + ", ".join(c.name for c in schema.columns),
            got=f"{type(error).__name__}: {error}",
            remedy="Correct the template, or guard what may be missing with `| default('…')`.",
        ) from None


def _plain(schema: Schema, row: Row) -> Mapping[str, object]:
    return {
        c.name: msgspec.json.decode(v) if isinstance(v, str) and c.type in JSON_TYPES else v
        for c, v in zip(schema.columns, row, strict=True)
    }


def _date(value: Value, form: str = "%B %-d, %Y") -> str:
    text = str(value)
    moment = datetime.fromisoformat(text) if len(text) > 10 else date.fromisoformat(text)
    return moment.strftime(form)


def _time(value: Value, form: str = "%H:%M") -> str:
    text = str(value)
    return (datetime.fromisoformat(text) if len(text) > 15 else time.fromisoformat(text)).strftime(form)


def _money(value: Value, sign: str = "$") -> str:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{value!r} is not an amount") from None
    whole = amount == amount.to_integral_value()
    return f"{sign}{amount:,.0f}" if whole else f"{sign}{amount:,.2f}"


_environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
_environment.filters |= {"date": _date, "time": _time, "money": _money}
