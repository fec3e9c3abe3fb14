"""Commands that read: `ask`, `search`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from headrace.cli.calling import (
    DEFAULT,
    After,
    AsGroups,
    AsJson,
    AsOf,
    AsUser,
    ConfigFile,
    Rerank,
    Where,
    call,
    or_fail,
    reading_as,
)
from headrace.cli.terminal import show
from headrace.limiting import demands
from headrace.showing import degraded_lines


def ask(
    question: str,
    user: Annotated[str | None, typer.Option(help="Who asks, such as email:ada@example.com.")] = None,
    conversation: Annotated[str | None, typer.Option(help="Go on with this conversation.")] = None,
    rerank: Rerank = None,
    after: After = None,
    as_of: AsOf = None,
    as_user: AsUser = None,
    groups: AsGroups = None,
    config: ConfigFile = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Ask a question; the answer names its sources."""
    body = {"question": question, "user": user, "conversation": conversation, "after": after, "as_of": as_of}
    answer = call(config, "/v1/ask", {**body, "rerank": rerank}, reading_as(as_user, groups))
    lines = [answer["answer"], ""]
    for n, c in enumerate(answer["citations"], start=1):
        lines.append(f"\\[{n}] {c['document']}, changed {_age(c['age_ms'])} ago")
    for n, f in enumerate(answer["facts"], start=1):
        lines.append(f"\\[F{n}] {f['table']} {f['key']}, changed {_age(f['age_ms'])} ago")
    show(
        answer,
        as_json,
        "\n".join([*lines, *degraded_lines(answer), _freshness(answer), f"conversation: {answer['conversation']}"]),
    )


def search(
    query: str,
    k: Annotated[int, typer.Option("-k", help="How many passages.")] = 5,
    source: Annotated[str | None, typer.Option(help="Only documents of this source.")] = None,
    label: Annotated[str | None, typer.Option(help="Only documents with this label.")] = None,
    rerank: Rerank = None,
    where: Where = None,
    after: After = None,
    as_of: AsOf = None,
    as_user: AsUser = None,
    groups: AsGroups = None,
    config: ConfigFile = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Find passages."""
    limits = {"source": source, "label": label, "metadata": or_fail(lambda: demands(where or ()))}
    limited = {name: value for name, value in limits.items() if value} or None
    body = {"query": query, "k": k, "rerank": rerank, "after": after, "as_of": as_of, "filter": limited}
    found = call(config, "/v1/search", body, reading_as(as_user, groups))
    scored = [(r.get("rerank_score", r["score"]), r) for r in found["results"]]
    shown = [
        f"{score:.3f}  {r['document']}  ({_age(r['age_ms'])} old)\n       {_line(r['text'])}" for score, r in scored
    ]
    show(found, as_json, "\n".join([*shown, *degraded_lines(found), _freshness(found)]))


def _age(ms: float) -> str:
    for limit, unit, size in (
        (1000, "ms", 1),
        (60_000, "s", 1000),
        (3_600_000, "min", 60_000),
        (86_400_000, "h", 3_600_000),
    ):
        if ms < limit:
            return f"{ms / size:.0f} {unit}"
    return f"{ms / 86_400_000:.0f} d"


def _freshness(answer: dict[str, Any]) -> str:
    fresh = answer["freshness_ms"]
    if fresh is None:
        return f"how fresh this is cannot be said: {answer.get('freshness_reason')}"
    return f"nothing committed more than {fresh:.0f} ms ago is missing"


def _line(text: str) -> str:
    return " ".join(text.split())[:160]
