"""How much of what stands in texts a redactor finds, and how much of what it finds stands there."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from headrace.errors import BadRequest
from headrace.redaction import KINDS
from headrace.redaction.policy import Redactor

LABELS: Mapping[str, str] = {
    "PERSON": "name",
    "STREET_ADDRESS": "address",
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip",
    "US_DRIVER_LICENSE": "driver_license",
    "US_PASSPORT": "passport",
    "MAC_ADDRESS": "mac",
}
"""What corpora call the kinds, beside the kinds' own names."""


class Expected(msgspec.Struct):
    """Characters of a text that are of a kind."""

    start: int
    end: int
    type: str


class Example(msgspec.Struct):
    """A line of the file."""

    text: str
    spans: list[Expected]


@dataclass(frozen=True, slots=True)
class Figures:
    """`hidden`: part of its letters and digits that are found as any kind; `found`, of `expected` spans those that are
    found as their own kind in any part; `precision`: of what is found as it, the part that touches a span of it;
    `named`: the part that touches a span of any kind."""

    kind: str
    expected: int
    found: int
    recall: float
    precision: float
    f1: float
    named: float
    hidden: float


@dataclass(frozen=True, slots=True)
class Report:
    """`other`: spans of labels that are no kind, by label; none of them counts."""

    texts: int
    kinds: Sequence[Figures]
    other: Mapping[str, int]


@dataclass(slots=True)
class _Count:
    expected: int = 0
    found: int = 0
    given: int = 0
    right: int = 0
    named: int = 0
    letters: int = 0
    hidden: int = 0


def measure(redactor: Redactor, examples: Iterable[Example], labels: Mapping[str, str]) -> Report:
    """By kind; national numbers that a corpus tells apart are told apart."""
    counts: dict[str, _Count] = {}
    other: Counter[str] = Counter()
    texts = 0
    for example in examples:
        texts += 1
        found = redactor.detect(example.text)
        spans = [(s.start, s.end, kind) for s in example.spans if (kind := _kind(s.type, labels))]
        every = [(s.start, s.end) for s in example.spans]
        other.update(s.type for s in example.spans if _kind(s.type, labels) is None)
        covered = [(d.start, d.end) for d in found]
        for start, end, kind in spans:
            count = counts.setdefault(kind, _Count())
            count.expected += 1
            count.found += any(d.kind == kind and d.start < end and d.end > start for d in found)
            marks = [n for n in range(start, end) if example.text[n].isalnum()]
            count.letters += len(marks)
            count.hidden += sum(_within(covered, n) for n in marks)
        for d in found:
            count = counts.setdefault(d.kind, _Count())
            count.given += 1
            count.right += any(k == d.kind and d.start < e and d.end > s for s, e, k in spans)
            count.named += any(d.start < e and d.end > s for s, e in every)
    return Report(texts, [_figures(kind, counts[kind]) for kind in sorted(counts)], dict(other.most_common()))


def examples(path: Path) -> list[Example]:
    """Raises BadRequest with the number of the line that is no example."""
    found: list[Example] = []
    with path.open("rb") as lines:
        for n, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                found.append(msgspec.json.decode(line, type=Example))
            except msgspec.MsgspecError as error:
                raise BadRequest(
                    step=f"read line {n} of {path.name}",
                    expected='{"text": "…", "spans": [{"start": 0, "end": 4, "type": "email"}]}',
                    got=str(error),
                    remedy="Correct that line.",
                ) from None
    return found


def _kind(label: str, labels: Mapping[str, str]) -> str | None:
    name = labels.get(label) or LABELS.get(label) or label.lower()
    return name if name in KINDS else None


def _within(covered: Sequence[tuple[int, int]], at: int) -> bool:
    n = bisect_left(covered, (at + 1,)) - 1
    return n >= 0 and covered[n][0] <= at < covered[n][1]


def _figures(kind: str, count: _Count) -> Figures:
    recall = count.found / count.expected if count.expected else 0.0
    precision = count.right / count.given if count.given else 0.0
    f1 = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
    named = count.named / count.given if count.given else 0.0
    hidden = count.hidden / count.letters if count.letters else 0.0
    figures = (round(x, 4) for x in (recall, precision, f1, named, hidden))
    return Figures(kind, count.expected, count.found, *figures)
