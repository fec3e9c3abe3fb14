"""Asks the cases and judges the answers; as a script it prints the table: `python -m tests.unit.answer.measure`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from headrace.answer.context import Answer, Context, Similarities
from headrace.answer.extractive import candidates, extract
from headrace.answer.question import retrieval_queries
from headrace.stores.conversations import Turn
from tests.unit.answer.cases import CASES, Case
from tests.unit.answer.corpora import NOW, WORLDS

Similarity = Callable[[str, Sequence[str]], Similarities]


def answer(case: Case, similarity: Similarity | None = None) -> tuple[Context, Answer]:
    """Asks a case's turns one after another; the last turn's context and answer."""
    world = WORLDS[case.world]
    profile = world.profiles[case.user] if case.user else None
    history: list[Turn] = []
    for question in case.turns:
        queries = retrieval_queries(question, history, NOW, profile=profile)
        context = Context(question, world.search(queries), profile, history=tuple(history), now=NOW)
        similar = similarity(question, candidates(context)) if similarity else None
        found = extract(context, similar)
        history += [Turn("user", question, {}, NOW), Turn("assistant", found.text, found.focus, NOW)]
    return context, found  # pyright: ignore[reportPossiblyUnboundVariable]


def right(case: Case, found: Answer) -> bool:
    if case.abstains or found.abstained:
        return case.abstains and found.abstained
    return all(s in found.text for s in case.says) and not any(s in found.text for s in case.never)


def main() -> None:
    show = "-v" in sys.argv
    results = [(case, answer(case)[1]) for case in CASES]
    for case, found in results:
        if show or not right(case, found):
            print("ok  " if right(case, found) else "FAIL", case.name, f"({case.user})" if case.user else "")
            print("     ", found.text.replace("\n", "\n      "))
    given = [(c, a) for c, a in results if not a.abstained]
    should = [(c, a) for c, a in results if c.abstains]
    answerable = [(c, a) for c, a in results if not c.abstains]
    print(f"precision {sum(right(c, a) for c, a in given)}/{len(given)}")
    print(f"answered rightly {sum(right(c, a) for c, a in answerable)}/{len(answerable)}")
    print(f"abstained rightly {sum(right(c, a) for c, a in should)}/{len(should)}")


if __name__ == "__main__":
    main()
