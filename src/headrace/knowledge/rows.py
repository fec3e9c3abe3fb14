"""Rows that are documents too: a sandboxed Jinja2 template makes the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation

import msgspec
from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from headrace.change import Change, Row, Schema, Value, key_text
from headrace.errors import BadInput, ConfigError

VERSION = 1
"""Raised when the same template may give another text for the same row."""
JSON_TYPES = frozenset({"json", "jsonb"})


@dataclass(frozen=True, slots=True)
class RowTemplate:
    """How the rows of one topic read."""

    topic: str
    template: Template
    text: str

    def render(self, change: Change) -> str:
        """The text of the row after the change. Raises BadInput when the template does not fit the row."""
        assert change.after is not None
        return render(self.template, change.schema, change.after, f"{self.topic} {key_text(change.key)}")


def row_template(topic: str, text: str) -> RowTemplate:
    """Compiles a template. Raises ConfigError."""
    return RowTemplate(topic, compile_template(topic, text), text)


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
