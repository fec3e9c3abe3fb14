"""A topic's chain of steps: its keys tell exactly what a change makes anew, and what is taken over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from headrace.knowledge import layout
from headrace.knowledge.chain import Settings, chain_of
from headrace.knowledge.parsed import Limits, Parsed, Span
from headrace.knowledge.rows import row_template
from headrace.knowledge.steps import CHUNK, PARSE, REDACT, RENDER, WORDS, Chain, Setting, Step, read_chain
from headrace.place import Place
from headrace.redaction.policy import Policy, Redactor
from headrace.redaction.rules import Rules
from tests.unit.test_knowledge_operator import Embedder

values = st.one_of(st.text(max_size=5), st.integers(), st.booleans())
made = st.dictionaries(st.text(min_size=1, max_size=5), values, max_size=3)


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    def step(name: str) -> Step:
        settings: Mapping[str, Setting] = draw(made)
        return Step(name, draw(st.integers(1, 3)), settings)

    names = [draw(st.sampled_from([PARSE, RENDER])), *([REDACT] if draw(st.booleans()) else []), CHUNK, WORDS]
    return Chain([step(name) for name in names])


@given(chains(), st.data())
def test_a_changed_step_changes_its_own_key_and_those_behind_it_and_none_before(
    chain: Chain, data: st.DataObject
) -> None:
    n = data.draw(st.integers(0, len(chain.steps) - 1))
    steps = list(chain.steps)
    steps[n] = replace(steps[n], version=steps[n].version + 1)
    other = Chain(steps)

    assert [a == b for a, b in zip(chain.keys, other.keys, strict=True)] == [i < n for i in range(len(steps))]
    assert other.changed_since(chain) == [steps[n].name]


@given(chains(), chains())
def test_a_text_is_taken_over_only_as_far_as_the_same_steps_made_it(now: Chain, then: Chain) -> None:
    done = now.done_by(then)

    texts = [s for s in then.steps if s.name in (PARSE, RENDER, REDACT)]
    assert done == 0 or list(now.steps[:done]) == texts
    if list(now.steps[: len(texts)]) == texts:
        assert done == len(texts)


@given(chains())
def test_what_is_kept_of_a_chain_is_the_chain(chain: Chain) -> None:
    kept = read_chain(json.loads(json.dumps(chain.to_json())))

    assert kept is not None
    assert kept.keys == chain.keys
    assert chain.changed_since(kept) == []
    assert read_chain(None) is read_chain([]) is read_chain([{"name": "parse"}]) is None


def test_each_setting_changes_the_steps_that_depend_on_it() -> None:
    embedder, other = Embedder(), Embedder()
    other.id = "another"
    rows, rows_again = row_template("shop.items", "{{ id }}"), row_template("shop.items", "{{ id }}!")
    hiding, keeping = Redactor([Rules()], Policy({})), Redactor([Rules()], Policy({"ip": "keep"}))
    base = chain_of(None, hiding, embedder, Settings())

    def changed(chain: Chain, before: Chain = base) -> list[str]:
        return list(chain.changed_since(before))

    assert changed(chain_of(None, hiding, embedder, Settings())) == []
    assert changed(chain_of(None, hiding, embedder, Settings(Limits(ocr=False)))) == [PARSE]
    assert changed(chain_of(None, hiding, embedder, Settings(Limits(timeout_s=1, memory=1)))) == []
    assert changed(chain_of(None, keeping, embedder, Settings())) == [REDACT]
    assert changed(chain_of(None, None, embedder, Settings())) == [REDACT]
    assert changed(chain_of(None, hiding, embedder, Settings(chunk_tokens=100))) == [CHUNK]
    assert changed(chain_of(None, hiding, other, Settings())) == [], "its vectors are built beside those of all others"
    of_rows = chain_of(rows, hiding, embedder, Settings())
    assert changed(chain_of(rows_again, hiding, embedder, Settings()), of_rows) == [RENDER]
    assert changed(chain_of(rows, hiding, embedder, Settings(Limits(ocr=False))), of_rows) == []


def test_redaction_that_is_turned_on_starts_from_the_text_and_one_that_is_off_from_the_source() -> None:
    plain = chain_of(None, None, Embedder(), Settings())
    hidden = chain_of(None, Redactor([Rules()], Policy({})), Embedder(), Settings())

    assert hidden.done_by(plain) == 1
    assert plain.done_by(hidden) == 0
    assert hidden.done_by(hidden) == 2


places = st.builds(
    Place,
    page=st.none() | st.integers(1, 9),
    sheet=st.none() | st.text(max_size=3),
    member=st.none() | st.text(max_size=3),
)
spans = st.lists(st.builds(Span, st.integers(0, 99), st.integers(0, 99), places), max_size=5).map(tuple)
outlines = st.lists(st.tuples(st.integers(0, 99), st.integers(1, 6), st.text(max_size=5)), max_size=4).map(tuple)


@given(st.builds(Parsed, st.text(), st.text(), st.booleans(), st.just("text/html"), spans, outlines, st.none()))
def test_a_document_s_form_is_kept_whole(parsed: Parsed) -> None:
    packed = layout.packed(parsed)

    assert packed
    assert layout.unpacked(packed, parsed.title, parsed.text, parsed.media, parsed.dated, {}) == parsed
