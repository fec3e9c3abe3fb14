"""Commands that measure: `eval`, what is found, and `redact`, what is hidden."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from headrace.cli.calling import DEFAULT, AsGroups, AsJson, AsUser, ConfigFile, configured, reading_as, run
from headrace.cli.terminal import fail, fail_text, out, say, show
from headrace.client import connect
from headrace.config.sections import Models
from headrace.errors import HeadraceError
from headrace.registry import Lazily

if TYPE_CHECKING:
    from headrace import measuring, redacting
    from headrace.evaluation import run as evaluation
else:
    measuring, redacting = Lazily("headrace.measuring"), Lazily("headrace.redacting")
    evaluation = Lazily("headrace.evaluation.run")


def evaluate_retrieval(
    queries: Annotated[Path, typer.Option(help="JSON lines with _id and text.")],
    qrels: Annotated[Path, typer.Option(help="Query, document and grade, separated by tabs.")],
    corpus: Annotated[
        Path | None, typer.Option(help="JSON lines with _id, title and text, or a folder; else what is indexed here.")
    ] = None,
    k: Annotated[int, typer.Option("-k", "--k", help="nDCG at so many documents.")] = 10,
    floor: Annotated[float, typer.Option(help="Exit with 1 when the default's nDCG is lower.")] = 0.0,
    cache: Annotated[Path, typer.Option(help="Folder where vectors are kept between runs.")] = Path(".headrace/eval"),
    embedding: Annotated[str, typer.Option(help="The model, as [models] embedding.")] = Models().embedding,
    reranker: Annotated[
        str | None, typer.Option(help="One for the corpus, as [models] reranker; none unless it is named.")
    ] = None,
    as_user: AsUser = None,
    groups: AsGroups = None,
    config: ConfigFile = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Measure retrieval with every setting, on a test collection or on what is indexed here."""

    async def settings_compared() -> evaluation.Report:
        if corpus is not None:
            reranking = None if reranker is None else evaluation.opened_reranker(reranker)
            return await evaluation.evaluate(
                evaluation.opened(embedding), corpus, queries, qrels, k, cache, say, reranking
            )
        settings = configured(config)
        async with connect(settings, reading_as(as_user, groups)) as client:
            reranked = settings.models.rerank if settings.models.reranker else None
            return await measuring.evaluate_running(client, queries, qrels, k, say, reranked=reranked)

    report: evaluation.Report = run(settings_compared())
    shown = Table("setting", f"nDCG@{k}", "recall@10", "recall@50", "MRR", box=None)
    for s in report.settings:
        shown.add_row(s.setting, *(f"{x:.4f}" for x in (s.ndcg, s.recall_10, s.recall_50, s.mrr)))
    if as_json:
        show(dataclasses.asdict(report), True, "")
    else:
        out.print(shown)
    if report.settings[0].ndcg < floor:
        fail_text(f"nDCG@{k} {report.settings[0].ndcg:.4f} is below the floor of {floor}.")


def redact(
    file: Annotated[Path, typer.Argument(help="A text; - is the input.")] = Path("-"),
    source: Annotated[str, typer.Option(help="By the policy of this source; otherwise everything is masked.")] = "",
    measure: Annotated[
        Path | None, typer.Option("--evaluate", help="Texts with spans, JSON lines: say how much is found.")
    ] = None,
    labels: Annotated[list[str] | None, typer.Option("--label", help="LABEL=kind: what the file calls a kind.")] = None,
    config: ConfigFile = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show what would be found and replaced in a text, or measure it on texts with known spans."""
    try:
        redactor = redacting.opened_redactor(redacting.chosen(configured(config), source) if source else None)
        if measure is not None:
            report = redacting.measured(redactor, measure, labels or ())
            show(dataclasses.asdict(report), as_json, redacting.measured_text(report))
            return
        text = sys.stdin.read() if file == Path("-") else file.read_text(encoding="utf-8")
        done = redactor.redact(text)
        if as_json:
            show({"text": done.text, "spans": redacting.spans(text, done, redactor)}, True, "")
        else:
            sys.stdout.write(done.text)
            say(redacting.shown(text, done, redactor))
    except HeadraceError as error:
        fail(error)
    except (OSError, UnicodeDecodeError) as error:
        fail_text(f"{file} cannot be read: {error}")
