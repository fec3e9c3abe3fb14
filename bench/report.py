"""What a measurement gives: figures beside their goals and beside what else was measured in the same run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


class Unavailable(Exception):
    """What a bench is to measure cannot be run here: it is left out with this reason, never made up."""


class Failed(Exception):
    """What was measured did not do what it must, so there is no figure."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure must reach, in words, and whether it did."""

    text: str
    met: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """One line: of `who`, a median with its p99, or a single value. `ratios` is ours over another's."""

    name: str
    who: str
    unit: str
    p50: float
    p99: float | None = None
    samples: int | None = None
    ratios: Mapping[str, float] = field(default_factory=dict[str, float])
    goals: Sequence[Goal] = ()

    def json(self) -> dict[str, object]:
        value = (
            {"value": self.p50} if self.p99 is None else {"p50": self.p50, "p99": self.p99, "p99_over_p50": _tail(self)}
        )
        rest = {"samples": self.samples, "ratios": dict(self.ratios), "goals": [asdict(g) for g in self.goals]}
        return {"name": self.name, "who": self.who, "unit": self.unit, **value, **rest}


@dataclass(frozen=True, slots=True)
class Settings:
    """`scale` shortens everything for trying out; what is kept between runs stands in `data`."""

    scale: float
    data: Path

    def of(self, full: int) -> int:
        return max(5, round(full * self.scale))


@dataclass(frozen=True, slots=True)
class Outcome:
    """All of one bench. `notes` say on what and how it was measured."""

    figures: Sequence[Figure]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A bench that was run, left out (`unavailable`) or failed, with the load average before it."""

    name: str
    load_before: float
    seconds: float
    outcome: Outcome = field(default_factory=lambda: Outcome(()))
    unavailable: str | None = None
    failed: str | None = None

    @property
    def reached(self) -> bool:
        return self.failed is None and all(g.met for f in self.outcome.figures for g in f.goals)

    def json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "load_before": round(self.load_before, 2),
            "seconds": round(self.seconds, 1),
            "unavailable": self.unavailable,
            "failed": self.failed,
            "notes": list(self.outcome.notes),
            "figures": [f.json() for f in self.outcome.figures],
        }


def quantile(samples: Sequence[float], q: float) -> float:
    """The smallest sample that at least the share `q` of all does not exceed (nearest rank)."""
    return sorted(samples)[max(0, math.ceil(q * len(samples)) - 1)]


def at_most(what: str, value: float, limit: float, unit: str) -> Goal:
    return Goal(f"{what} ≤ {limit:g} {unit}".rstrip(), value <= limit)


def spread(name: str, who: str, samples: Sequence[float], *, p50: float | None = None, p95: float | None = None,
           p99: float | None = None, tail: float | None = None,
           beside: Mapping[str, Sequence[float]] | None = None) -> Figure:  # fmt: skip
    """A distribution in milliseconds. `p50`, `p95`, `p99` and `tail` (p99 over p50) are what it must not exceed."""
    if not samples:
        raise Failed(f"{name}: no sample")
    middle, end = statistics.median(samples), quantile(samples, 0.99)
    goals: list[Goal] = []
    if p50 is not None:
        goals.append(at_most("p50", middle, p50, "ms"))
    if p95 is not None:
        goals.append(at_most("p95", quantile(samples, 0.95), p95, "ms"))
    if p99 is not None:
        goals.append(at_most("p99", end, p99, "ms"))
    if tail is not None:
        goals.append(Goal(f"p99 ≤ {tail:g}x p50", end <= tail * middle))
    ratios: dict[str, float] = {}
    for other, theirs in (beside or {}).items():
        ratios[f"p50 over {other}"] = round(middle / statistics.median(theirs), 2)
        ratios[f"p99 over {other}"] = round(end / quantile(theirs, 0.99), 2)
    return Figure(name, who, "ms", round(middle, 3), round(end, 3), len(samples), ratios, goals)


# ---- the table -------------------------------------------------------------------------------------------------------

_HEAD = ("bench", "figure", "of", "p50 or value", "p99", "p99/p50", "n", "ours over others", "goals")


def table(runs: Sequence[Run]) -> str:
    """Every figure a line, then the notes."""
    rows = [_HEAD, *(row for run in runs for row in _rows(run))]
    widths = [max(len(row[n]) for row in rows) for n in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join([*lines, "", *(f"{run.name}: {note}" for run in runs for note in _notes(run))])


def _rows(run: Run) -> list[tuple[str, ...]]:
    if run.unavailable or run.failed:
        return [(run.name, "UNAVAILABLE" if run.unavailable else "FAILED", *[""] * (len(_HEAD) - 2))]
    return [_row(run.name, figure) for figure in run.outcome.figures]


def _row(bench: str, f: Figure) -> tuple[str, ...]:
    spreads = ("", "") if f.p99 is None else (f"{f.p99:.2f}", f"{_tail(f):.1f}")
    ratios = ", ".join(f"{name} {value:.2f}" for name, value in f.ratios.items())
    goals = "; ".join(f"{g.text}: {'met' if g.met else 'NOT MET'}" for g in f.goals)
    return (bench, f.name, f.who, f"{f.p50:.2f} {f.unit}", *spreads, str(f.samples or ""), ratios, goals)


def _notes(run: Run) -> list[str]:
    why = [text for text in (run.unavailable, run.failed) if text]
    return [f"load average before {run.load_before:.2f}, took {run.seconds:.0f} s", *why, *run.outcome.notes]


def _tail(f: Figure) -> float:
    return round((f.p99 or 0.0) / f.p50, 2) if f.p50 else 0.0
