"""What `headrace redact` shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from headrace.app.rules import redactor
from headrace.config import Config
from headrace.config.problems import hint
from headrace.config.sources import Redact, SourceEntry
from headrace.errors import BadRequest, ConfigError
from headrace.evaluation.redaction import Report, examples, measure
from headrace.redaction.policy import Redacted, Redactor, known


def chosen(config: Config, source: str) -> SourceEntry:
    """The source of a name. Raises ConfigError."""
    for entry in config.sources:
        if entry.name == source:
            if entry.redact is None:
                raise _bad(
                    f"a [sources.redact] of {source}", "none", "Add it, or leave --source out to mask all kinds."
                )
            return entry
    names = [e.name for e in config.sources]
    raise _bad("a configured source", f"`{source}`", hint(source, names, "Sources"))


def opened_redactor(entry: SourceEntry | None) -> Redactor:
    """By a source's policy; by default everything that the rules find is masked."""
    found = redactor(entry or SourceEntry("trial", "file://.", redact=Redact()))
    assert found is not None
    return found


def spans(text: str, done: Redacted, by: Redactor) -> list[dict[str, str | int | float]]:
    """What was found, kept things too; offsets are characters of the text and of the redacted one."""
    replaced: list[dict[str, str | int | float]] = [
        {
            "start": r.start, "end": r.end, "kind": r.kind, "score": r.score, "action": by.policy.action(r.kind),
            "value": text[r.start : r.end], "token": r.token, "at": r.at,
        }
        for r in done.replaced
    ]  # fmt: skip
    kept: list[dict[str, str | int | float]] = [
        {"start": d.start, "end": d.end, "kind": d.kind, "score": d.score, "action": "keep",
         "value": text[d.start : d.end], "at": done.moved(d.start)}
        for d in by.detect(text)
        if by.policy.action(d.kind) == "keep"
    ]  # fmt: skip
    return sorted([*replaced, *kept], key=lambda s: int(s["start"]))


def shown(text: str, done: Redacted, by: Redactor) -> str:
    """One line: how many of each kind."""
    counts = Counter((str(s["kind"]), str(s["action"])) for s in spans(text, done, by))
    told = ", ".join(f"{n} {kind} ({action})" for (kind, action), n in sorted(counts.items()))
    return f"found: {told or 'nothing'}"


def measured(by: Redactor, file: Path, labels: Sequence[str]) -> Report:
    """Raises BadRequest, ConfigError."""
    named: dict[str, str] = {}
    for label in labels:
        name, mark, kind = label.partition("=")
        if not mark:
            raise BadRequest(step="read --label", expected="LABEL=kind", got=label, remedy="Write it like PERSON=name.")
        known(kind)
        named[name] = kind
    return measure(by, examples(file), named)


def measured_text(report: Report) -> str:
    """A table for a terminal."""
    lines = [f"{'kind':20}{'spans':>7}{'recall':>9}{'precision':>11}{'F1':>8}{'any kind':>10}{'hidden':>9}"]
    for k in report.kinds:
        lines.append(
            f"{k.kind:20}{k.expected:7}{k.recall:9.3f}{k.precision:11.3f}{k.f1:8.3f}{k.named:10.3f}{k.hidden:9.3f}"
        )
    if report.other:
        lines.append("not measured: " + ", ".join(f"{label} {n}" for label, n in report.other.items()))
    return "\n".join([*lines, f"{report.texts} texts"])


def _bad(expected: str, got: str, remedy: str) -> ConfigError:
    return ConfigError(step="choose a redaction policy", expected=expected, got=got, remedy=remedy)
