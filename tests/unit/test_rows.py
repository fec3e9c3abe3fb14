"""Rows as texts: templates, their filters, and what they may not do."""

from __future__ import annotations

import pytest

from headrace.change import Change, Column, Op, Position, Row, Schema
from headrace.errors import BadInput, ConfigError
from headrace.knowledge.rows import row_template

COLUMNS = {"id": "int4", "name": "text", "price": "numeric", "day": "date", "at": "timestamptz", "tags": "jsonb"}
SCHEMA = Schema("air", "public.flights", tuple(Column(n, t) for n, t in COLUMNS.items()), ("id",))
ROW: Row = (7, "HAT170", "1234.50", "2024-05-22", "2024-05-22 19:05:00+00", '{"meals": ["a", "b"], "n": null}')


def rendered(template: str, row: Row = ROW) -> str:
    change = Change(SCHEMA, Op.CREATE, Position(1), 1, 1, (7,), None, row)
    return row_template("air.public.flights", template).render(change)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Flight {{ name }} costs {{ price }}", "Flight HAT170 costs 1234.50"),
        ("{{ tags.meals | join('+') }} {{ tags.n is none }} {{ tags.meals | length }}", "a+b True 2"),
        ("{{ day | date }}; {{ at | date }}; {{ day | date('%d.%m.') }}", "May 22, 2024; May 22, 2024; 22.05."),
        ("{{ at | time }} {{ '07:30:00' | time }} {{ at | time('%Hh') }}", "19:05 07:30 19h"),
        ("{{ price | money }} {{ 5 | money }} {{ '-2000000.00' | money('€') }}", "$1,234.50 $5 €-2,000,000"),
        ("{% if id > 5 %}<b>{{ name }}</b>{% endif %}\n", "<b>HAT170</b>"),
        ("{{ nothing | default('–') }}", "–"),
    ],
)
def test_a_template_reads_a_row(template: str, text: str) -> None:
    assert rendered(template) == text


@pytest.mark.parametrize(
    "template",
    [
        "{{ nme }}",
        "{{ tags.meal }}",
        "{{ name | date }}",
        "{{ name | time }}",
        "{{ name | money }}",
        "{{ 1 / 0 }}",
        "{% for x in range(10 ** 9) %}x{% endfor %}",
    ],
)
def test_a_template_that_does_not_fit_the_row_costs_the_row_only(template: str) -> None:
    with pytest.raises(BadInput) as caught:
        rendered(template)

    assert caught.value.step == "render the text of air.public.flights 7"
    assert "id, name, price" in caught.value.expected


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ name.__init__.__globals__ }}",
        "{{ (lambda: 1)() }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ self._TemplateReference__context.environment }}",
        "{{ '{0.__class__}'.format(name) }}",
        "{% set _ = tags.update({'x': 1}) %}{{ tags.x }}",
        "{{ tags.meals.append('c') }}",
    ],
)
def test_a_template_stays_in_its_sandbox(template: str) -> None:
    with pytest.raises((BadInput, ConfigError)):
        rendered(template)


@pytest.mark.parametrize("template", ["{{ name", "{% for %}", "{{ name | nosuchfilter }}", "{% nope %}"])
def test_what_is_no_template_is_told_when_it_is_read(template: str) -> None:
    with pytest.raises(ConfigError, match="template of air"):
        row_template("air.public.flights", template)
