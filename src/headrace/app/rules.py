"""The settings of what is made of changes, as the operators understand them. Whatever cannot be raises ConfigError."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from headrace.access import Readers, Rules, SourceRules, checked_glob, readers
from headrace.config import Config
from headrace.config.documents import Documents
from headrace.config.durations import duration_us
from headrace.config.knowledge import Classify as ClassifyEntry
from headrace.config.knowledge import Summarise as SummariseEntry
from headrace.config.profiles import FactEntry
from headrace.config.sources import AccessEntry, AccessRuleEntry, SourceEntry
from headrace.errors import ConfigError
from headrace.knowledge.asking import Task
from headrace.knowledge.classify import Classify
from headrace.knowledge.parsed import Limits
from headrace.knowledge.rows import RowTemplate, compile_template, row_template
from headrace.knowledge.summarise import Summarise
from headrace.profiles.rules import ChildRule, RecordRule
from headrace.redaction.policy import Policy, Redactor
from headrace.registry import DETECTORS, lookup
from headrace.stores.profiles import Aggregate, FactRule

_FUNCTIONS = ("count", "sum", "min", "max", "avg")


def limits(entry: Documents) -> Limits:
    """What `[documents]` allows a file."""
    return Limits(
        duration_us(entry.timeout) / 1_000_000,
        entry.memory,
        entry.pages,
        entry.characters,
        entry.members,
        entry.unpacked,
        entry.ratio,
        entry.depth,
        entry.pixels,
        entry.ocr,
    )


def access_rules(config: Config) -> SourceRules:
    """Of every source, also of those whose documents are open to everybody. Raises ConfigError."""
    return SourceRules({e.name: _rules(e) for e in config.sources})


def _rules(entry: SourceEntry) -> Rules:
    said = None if entry.access is None else _readers(entry.name, entry.access)
    return Rules(said, tuple((checked_glob(r.match), _readers(entry.name, r)) for r in entry.access_rules))


def _readers(source: str, entry: AccessEntry | AccessRuleEntry) -> Readers:
    try:
        said = readers(entry.owner or "", entry.groups)
    except ValueError as error:
        step = f"read the access rules of {source}"
        raise ConfigError(step=step, expected="names", got=str(error), remedy="Correct them.") from None
    assert said is not None
    return said


async def redactors(config: Config) -> Mapping[str, Redactor]:
    """By source; models are loaded in a thread."""
    found = {e.name: await asyncio.to_thread(redactor, e) for e in config.sources}
    return {name: each for name, each in found.items() if each is not None}


def redactor(entry: SourceEntry) -> Redactor | None:
    """By a source's `[sources.redact]`; None where it has none. Raises ConfigError."""
    rules = entry.redact
    if rules is None:
        return None
    try:
        policy = Policy(rules.kinds, rules.default, rules.key or "")
    except ConfigError as error:
        step = f"read the redaction policy of {entry.name}"
        raise ConfigError(step=step, expected=error.expected, got=error.got, remedy=error.remedy) from None
    if not rules.detectors:
        raise ConfigError(
            step=f"read the redaction of {entry.name}",
            expected="at least one detector",
            got="none",
            remedy='Write `detectors = ["rules:"]`, or leave the table out to keep everything.',
        )
    return Redactor([lookup("detectors", DETECTORS, url)(url) for url in rules.detectors], policy)


def row_templates(config: Config) -> Mapping[str, RowTemplate]:
    return {e.table: row_template(e.table, e.text, e.owner, e.groups, e.metadata) for e in config.knowledge.rows}


def task(entry: ClassifyEntry | SummariseEntry) -> Task:
    if isinstance(entry, SummariseEntry):
        return Summarise(max_words=entry.max_words, characters=entry.characters, max_tokens=entry.max_tokens)
    return Classify(entry.labels, many=entry.many, characters=entry.characters, max_tokens=entry.max_tokens)


def record_rules(config: Config) -> Mapping[str, RecordRule]:
    return {e.table: RecordRule(e.table, e.identifiers, e.fields) for e in config.profiles.records}


def child_rules(config: Config) -> Sequence[ChildRule]:
    return [_child(e) for e in config.profiles.facts]


def _child(entry: FactEntry) -> ChildRule:
    name = entry.name or entry.table.rpartition(".")[2]
    aggregates = tuple(_aggregate(entry.table, n, text) for n, text in entry.aggregates.items())
    text = compile_template(entry.table, entry.text) if entry.text else None
    show = FactRule(entry.table, name, entry.keep, aggregates)
    return ChildRule(show, entry.belongs_to, entry.order_by, entry.time, text)


def _aggregate(table: str, name: str, text: str) -> Aggregate:
    function, _, rest = text.replace(" ", "").partition("(")
    column = rest.removesuffix(")")
    if function not in _FUNCTIONS or not rest.endswith(")") or not column or (column == "*" and function != "count"):
        raise ConfigError(
            step=f"read the aggregates of {table}",
            expected="count(*), or count, sum, min, max or avg of a column",
            got=f"{name} = {text!r}",
            remedy="Correct it in headrace.toml.",
        )
    return Aggregate(name, function, column)
