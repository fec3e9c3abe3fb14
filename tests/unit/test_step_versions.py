"""What each step makes of the same input is pinned to its version: who changes the one raises the other, so that what
was made before is made anew where people run it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from headrace.knowledge import chunk, classify, parse, redacting, rows, summarise, terms
from headrace.knowledge.parsed import Parsed
from headrace.knowledge.redacting import cleared
from headrace.redaction.policy import Policy, Redactor
from headrace.redaction.rules import Rules
from tests import documents as make
from tests.making import ITEMS, put
from tests.unit.test_chunk import tokenizer

MARKDOWN = """---
title: Bags
date: 2024-02-03
---
# Cabin bags

A cabin bag of 55 × 40 × 23 cm is free. Ask Dr. Ada King, ada@example.com, for larger ones.

## Fees

| weight | fee |
| --- | --- |
| 23 kg | $30 |
| 32 kg | $100 |

```python
def runTarget(HTTPServer):
    return utf8_text
```

""" + "\n\n".join(f"Sentence {n} speaks of travellers' running, flights and the weather in détail." for n in range(60))
HTML = "<html><head><title>Rules</title></head><body><nav>menu</nav><main><h1>One</h1><p>Two <b>three</b></p>\
<table><tr><th>a</th><td>b</td></tr></table></main></body></html>"
CSV = 'id,name\n1,"Zoë, A"\n2,Bo\n'


def digest(made: object) -> str:
    return hashlib.sha256(repr(made).encode()).hexdigest()[:16]


def parsed() -> str:
    files = (("a.md", MARKDOWN), ("b.html", HTML), ("c.csv", CSV), ("d.txt", "plain\n\ntext"), ("e.py", "x = 1\n"))
    office = (
        ("f.xlsx", make.xlsx({"Fees": [["kind", "share"], ["bag", (0.256, "0.0%")]]})),
        ("g.pptx", make.pptx([("One", "first")], notes={1: "say it slowly"})),
        ("h.odt", make.odt("<text:p>One</text:p>")),
    )
    told = [*((path, content.encode()) for path, content in files), *office]
    return digest([parse.parse(path, content) for path, content in told])


def cut() -> str:
    lines = "\n".join(f"Line {n} of a text without headings. It has two sentences." for n in range(40))
    documents = [parse.parse("a.md", text.encode()) for text in (MARKDOWN, lines)]
    return digest([chunk.chunk(document, tokenizer(), n) for document in documents for n in (20, 50, 200)])


def hidden() -> str:
    parsed = Parsed("Dr. Ada King", MARKDOWN, True, metadata={"from": "ada@example.com", "tags": ("Ada King", 1)})
    return digest(cleared(parsed, Redactor([Rules()], Policy({}))))


def counted() -> str:
    bag = terms.bag(MARKDOWN)
    return digest((bag.terms.tolist(), bag.counts.tolist(), bag.length))


def rendered() -> str:
    template = rows.row_template(
        ITEMS.topic, "{{ id }} {{ name | upper }} {{ 12.5 | money }} {{ '2024-02-03' | date }}"
    )
    return digest(template.render(put(1, 7, "bag")))


def labelled() -> str:
    tasks = [
        classify.Classify({"bags": "luggage", "other": ""}, many=many, characters=900, max_tokens=9)
        for many in (False, True)
    ]
    return digest([(t.messages("Bags", MARKDOWN), t.read("The label: Bags.")) for t in tasks])


def summed_up() -> str:
    task = summarise.Summarise(max_words=12, characters=900, max_tokens=9)
    return digest((task.messages("Bags", MARKDOWN), task.read(f"Summary: {MARKDOWN[60:]}")))


@pytest.mark.parametrize(
    ("made", "version", "pinned"),
    [
        pytest.param(parsed, parse.VERSION, (6, "357cbfe3c1010a4a"), id="parse"),
        pytest.param(rendered, rows.VERSION, (1, "2ddd8a1fb9c64596"), id="render"),
        pytest.param(hidden, (redacting.VERSION, Rules().id), ((1, "rules:1"), "838712cdbc54835f"), id="redact"),
        pytest.param(cut, chunk.VERSION, (3, "63a37756856f3d5c"), id="chunk"),
        pytest.param(labelled, classify.VERSION, (1, "bf2dcdc36e8d5b0f"), id="classify"),
        pytest.param(summed_up, summarise.VERSION, (1, "ab452688dfa03ac1"), id="summarise"),
        pytest.param(counted, terms.VERSION, (1, "b2ed627dd194d360"), id="words"),
    ],
)
def test_a_step_that_makes_something_else_has_another_version(
    made: Callable[[], str], version: object, pinned: tuple[object, str]
) -> None:
    assert (version, made()) == pinned, "raise the step's VERSION with what it makes, then pin both here"
