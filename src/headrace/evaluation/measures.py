"""Measures of a ranking against judged documents.

Järvelin and Kekäläinen, "Cumulated Gain-based Evaluation of IR Techniques" (2002), with gains 2^grade - 1; recall over
what is judged relevant (grade > 0); the reciprocal rank of the first relevant document.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Grades = Mapping[str, int]
"""Document -> how relevant it is to one query; what is missing is not."""


def ndcg(ranked: Sequence[str], grades: Grades, k: int) -> float:
    """0..1; 0 where nothing is relevant."""
    ideal = _gain(sorted(grades.values(), reverse=True)[:k])
    return _gain([grades.get(d, 0) for d in ranked[:k]]) / ideal if ideal else 0.0


def recall(ranked: Sequence[str], grades: Grades, k: int) -> float:
    relevant = {d for d, grade in grades.items() if grade > 0}
    return len(relevant.intersection(ranked[:k])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranked: Sequence[str], grades: Grades) -> float:
    return next((1 / n for n, d in enumerate(ranked, start=1) if grades.get(d, 0) > 0), 0.0)


def _gain(grades: Sequence[int]) -> float:
    return sum((2 ** max(grade, 0) - 1) / math.log2(n + 2) for n, grade in enumerate(grades))
