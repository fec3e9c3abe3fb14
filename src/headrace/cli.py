"""The command line: thin over the app, and over HTTP to a Headrace that is running."""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
import time
from collections.abc import Coroutine, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, NoReturn
from urllib.parse import quote

import msgspec
import structlog
import typer
import uvloop
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headrace.access import Viewer
from headrace.client import answering_at, connect, running
from headrace.config import Config, Models, load
from headrace.demo.run import run_demo
from headrace.diagnosis import Diagnosis, examine
from headrace.errors import HeadraceError
from headrace.evaluation.run import Report, evaluate, opened, opened_reranker
from headrace.limiting import demands, given
from headrace.measuring import evaluate_running
from headrace.pushing import Totals, push_lines
from headrace.redacting import chosen, measured, measured_text, opened_redactor, shown, spans
from headrace.running import catch_up
from headrace.running import up as run_up
from headrace.showing import (
    Shown,
    degraded_lines,
    follow,
    renewal_findings,
    renewal_line,
    reranker_line,
    service_line,
    snapshot_line,
    succession_line,
    telling_line,
)
from headrace.showing_documents import listed, retried, show_documents, uploaded_line
from headrace.showing_verify import show_report, verified
from headrace.uploading import How, Sent, files_of, upload_files

app = typer.Typer(
    help="Headrace: what a database just committed is in the next answer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)

ConfigFile = Annotated[Path, typer.Option("-c", "--config", help="The configuration file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
After = Annotated[str | None, typer.Option(help="A token that must be applied first.")]
AsOf = Annotated[str | None, typer.Option(help="A token or an RFC 3339 time to read at.")]
Where = Annotated[
    list[str] | None,
    typer.Option(help="Only documents with such metadata: key=value, !=, >, >=, <, <=, or key alone. Repeatable."),
]
Rerank = Annotated[
    bool | None, typer.Option("--rerank/--no-rerank", help="By the reranker, or not; otherwise as is configured.")
]
AsUser = Annotated[str | None, typer.Option("--as", help="Read as this user would.")]
AsGroups = Annotated[str | None, typer.Option("--groups", help="Read as somebody in these groups, between commas.")]
_DEFAULT = Path("headrace.toml")


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to put headrace.toml.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Write a headrace.toml to start from."""
    target = folder / "headrace.toml"
    if target.exists():
        _fail_text(f"{target} is there already; nothing was written.")
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(files("headrace").joinpath("starter.toml").read_text("utf-8"), encoding="utf-8")
    (folder / "documents").mkdir(exist_ok=True)
    _print(
        {"written": str(target)},
        as_json,
        f"Wrote {target}. Put documents into {folder / 'documents'}, then: headrace up",
    )


@app.command()
def up(
    config: ConfigFile = _DEFAULT,
    once: Annotated[bool, typer.Option("--once", help="Catch up with all sources, then exit.")] = False,
    as_json: AsJson = False,
) -> None:
    """Capture, apply and answer until stopped."""
    settings = _load(config)
    if once:
        done = _run(catch_up(settings, _say))
        _print(done, as_json, "Caught up: " + (", ".join(f"{k} {v}" for k, v in done.items()) or "nothing to read"))
    else:
        _run(run_up(settings, _say))


@app.command()
def demo(
    data: Annotated[Path, typer.Option(help="Folder for the demo's data.")] = Path(".headrace/demo"),
    port: Annotated[int, typer.Option(help="TCP port of the page.")] = 8420,
    host: Annotated[str, typer.Option(help="Address to bind.")] = "127.0.0.1",
    speed: Annotated[float, typer.Option(help="Pace of the simulator; 1 is about four changes a second.")] = 1.0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
) -> None:
    """An airline whose database moves, and an assistant that knows."""
    _run(run_demo(data, host, port, speed, _say, browser=browser))


@app.command()
def ask(
    question: str,
    user: Annotated[str | None, typer.Option(help="Who asks, such as email:ada@example.com.")] = None,
    conversation: Annotated[str | None, typer.Option(help="Go on with this conversation.")] = None,
    rerank: Rerank = None,
    after: After = None,
    as_of: AsOf = None,
    as_user: AsUser = None,
    groups: AsGroups = None,
    config: ConfigFile = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Ask a question; the answer names its sources."""
    body = {"question": question, "user": user, "conversation": conversation, "after": after, "as_of": as_of}
    answer = _call(config, "/v1/ask", {**body, "rerank": rerank}, _viewer(as_user, groups))
    lines = [answer["answer"], ""]
    for n, c in enumerate(answer["citations"], start=1):
        lines.append(f"\\[{n}] {c['document']}, changed {_age(c['age_ms'])} ago")
    for n, f in enumerate(answer["facts"], start=1):
        lines.append(f"\\[F{n}] {f['table']} {f['key']}, changed {_age(f['age_ms'])} ago")
    _print(
        answer,
        as_json,
        "\n".join([*lines, *degraded_lines(answer), _freshness(answer), f"conversation: {answer['conversation']}"]),
    )


@app.command()
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
    config: ConfigFile = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Find passages."""
    limits = {"source": source, "label": label, "metadata": _demands(where or ())}
    limited = {name: value for name, value in limits.items() if value} or None
    body = {"query": query, "k": k, "rerank": rerank, "after": after, "as_of": as_of, "filter": limited}
    found = _call(config, "/v1/search", body, _viewer(as_user, groups))
    scored = [(r.get("rerank_score", r["score"]), r) for r in found["results"]]
    shown = [
        f"{score:.3f}  {r['document']}  ({_age(r['age_ms'])} old)\n       {_line(r['text'])}" for score, r in scored
    ]
    _print(found, as_json, "\n".join([*shown, *degraded_lines(found), _freshness(found)]))


@app.command()
def status(config: ConfigFile = _DEFAULT, as_json: AsJson = False) -> None:
    """Show sources, operators and what waits."""
    found = _call(config, "/v1/status")
    if as_json:
        _print(found, True, "")
        return
    sources = Table("source", "state", "position", "freshness", "changes/s", "errors", box=None)
    for s in found["sources"]:
        fresh = "-" if s["freshness_ms"] is None else f"{s['freshness_ms']:.0f} ms"
        sources.add_row(s["name"], s["state"], s["position"] or "-", fresh, str(s["rate"]), str(s["errors"]))
    operators = Table("operator", "source", "behind by", "changes/s", "dead letters", box=None)
    for o in found["operators"]:
        operators.add_row(o["name"], o["source"], str(o["lag"]["changes"]), str(o["rate"]), str(o["dead_letters"]))
    _out.print(sources)
    _out.print(operators)
    _out.print(f"{found['documents']['total']} documents, {found['profiles']} profiles")
    work = (renewal_line(found["renewal"]), succession_line(found["succession"]), telling_line(found["telling"]))
    models = (*(service_line(e) for e in found["embedders"]), reranker_line(found["reranker"]))
    for line in (*work, *models):
        if line:
            _out.print(line, markup=False)
    if building := found["store"]["index"]["building"]:
        _out.print(f"an index of vectors is built: {building['done']} of {building['total']} chunks")
    for s in found["sources"]:
        if s["reason"]:
            _out.print(f"{s['name']}: {s['reason']}")


@app.command()
def doctor(config: ConfigFile = _DEFAULT, as_json: AsJson = False) -> None:
    """Check every source and the store before use; exit code 1 when something is to be mended."""
    settings = _load(config)

    async def look() -> Diagnosis:
        at = await answering_at(settings)
        found = await examine(settings, running=at)
        if at is None:
            return found
        async with running(settings) as client:
            return {**found, "steps": renewal_findings(await client.get("/v1/status"))}

    found: Diagnosis = _run(look())
    problems = sum(f.problem for findings in found.values() for f in findings)
    if as_json:
        rows = [{"subject": s, **msgspec.to_builtins(f)} for s, findings in found.items() for f in findings]
        _print({"problems": problems, "findings": rows}, True, "")
    else:
        for subject, findings in found.items():
            _out.print(f"[bold]{subject}[/bold]")
            for f in findings:
                _out.print(f"  {f.level:8}{f.check}: {f.got}", markup=False)
                if f.problem:
                    _out.print(f"          expected  {f.expected}", markup=False)
                    _out.print(f"          remedy    {f.remedy}", markup=False)
        _out.print(f"{problems} to mend" if problems else "Everything is in order.")
    if problems:
        raise SystemExit(1)


@app.command()
def token(config: ConfigFile = _DEFAULT, as_json: AsJson = False) -> None:
    """Print a token of everything that is committed at the sources now."""
    found = _call(config, "/v1/token")
    _print(found, as_json, found["token"])


@app.command()
def push(
    source: Annotated[str, typer.Argument(help="A source whose url is push:.")],
    file: Annotated[Path, typer.Argument(help="Records, one JSON object a line; - is the input.")] = Path("-"),
    format: Annotated[
        str, typer.Option(help="debezium, flattened, dms, cloudevents or plain; otherwise their content says it.")
    ] = "",
    table: Annotated[str, typer.Option(help="The rows' table, instead of what the records say.")] = "",
    key: Annotated[str, typer.Option(help="The primary key's columns, joined by commas.")] = "",
    gzip: Annotated[bool, typer.Option("--gzip", help="Send the records compressed.")] = False,
    config: ConfigFile = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Push records into a running Headrace; exits 1 when some could not be read."""
    if file != Path("-") and not file.is_file():
        _fail_text(f"{file} is no file; nothing was pushed.")
    params = {name: value for name, value in (("format", format), ("table", table), ("key", key)) if value}
    began = shown = time.monotonic()

    def progress(totals: Totals) -> None:
        nonlocal shown
        if sys.stderr.isatty() and time.monotonic() - shown > 1:
            shown = time.monotonic()
            _say(f"{totals.lines} lines, {totals.lines / (shown - began):.0f}/s")

    async def send() -> Totals:
        async with running(_load(config)) as client:
            with sys.stdin.buffer if file == Path("-") else file.open("rb") as lines:
                return await push_lines(client, source, lines, params, progress, compressed=gzip)

    totals: Totals = _run(send())
    for r in [] if as_json else totals.rejected:
        _err.print(f"line {r.line}: expected {r.expected}, got {r.got}. {r.remedy}", markup=False)
    said = f"{totals.accepted} accepted, {totals.duplicates} duplicates, {totals.ignored} ignored, "
    _print(dataclasses.asdict(totals) | {"rejected": msgspec.to_builtins(totals.rejected)}, as_json,
           f"{said}{totals.rejections} rejected\ntoken: {totals.token or '-'}")  # fmt: skip
    if totals.rejections:
        raise SystemExit(1)


@app.command()
def upload(
    files: Annotated[list[Path], typer.Argument(help="Files, and folders with all that is in them.")],
    source: Annotated[str, typer.Option(help="A source whose url is upload:, where there are several.")] = "",
    named: Annotated[str, typer.Option("--as", help="The document's name, for a single file.")] = "",
    replace: Annotated[
        bool, typer.Option("--replace/--no-replace", help="In the place of a document of the same name.")
    ] = True,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until they can be found.")] = True,
    owner: Annotated[str | None, typer.Option(help="The user whom they are for; otherwise as before, or all.")] = None,
    groups: Annotated[str | None, typer.Option(help="The groups that they are for, between commas.")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(help="name=value: their metadata, beside what they state. Repeatable.")
    ] = None,
    config: ConfigFile = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Upload documents into a running Headrace; exits 1 when one was refused or cannot be read."""
    shown = time.monotonic()

    def progress(text: str) -> None:
        nonlocal shown
        if sys.stderr.isatty() and time.monotonic() - shown > 0.5:
            shown = time.monotonic()
            _say(text)

    said = None if metadata is None else _given(metadata)

    async def send() -> Sent:
        async with running(_load(config)) as client:
            found = files_of(files, named)
            how = How(source, replace, wait, owner, groups, said)
            return await upload_files(client, found, how, told=progress)

    sent: Sent = _run(send())
    for name, why in [] if as_json else sent.through:
        _err.print(f"{name}: sent through Headrace; the object store did not take it: {why}", markup=False)
    for name, why in [] if as_json else sent.refused:
        _err.print(f"{name}: {why}", markup=False)
    value = {"documents": sent.documents, "refused": dict(sent.refused), "token": sent.token}
    _print(value, as_json, escape("\n".join(uploaded_line(d) for d in sent.documents)))
    if sent.refused or any(d.get("stage") == "failed" for d in sent.documents):
        raise SystemExit(1)


@app.command()
def documents(
    source: Annotated[str | None, typer.Option(help="Only documents of this source.")] = None,
    stage: Annotated[str | None, typer.Option(help="received, chunked, embedded, ready or failed.")] = None,
    label: Annotated[str | None, typer.Option(help="Only those with this label.")] = None,
    match: Annotated[str | None, typer.Option(help="Words in the id or the title.")] = None,
    where: Where = None,
    limit: Annotated[int, typer.Option(help="How many at most.")] = 1000,
    delete: Annotated[str | None, typer.Option(help="Delete the uploaded document of this id.")] = None,
    retry: Annotated[str | None, typer.Option(help="Try to read the failed document of this id once more.")] = None,
    as_user: AsUser = None,
    groups: AsGroups = None,
    config: ConfigFile = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List documents with their stage, delete an uploaded one, or retry one that could not be read."""

    async def act() -> None:
        async with connect(_load(config), _viewer(as_user, groups)) as client:
            if delete is not None:
                done = await client.delete("/v1/documents/" + quote(delete, safe="/"))
                _print(done, as_json, f"Deleted {escape(done['id'])}.\ntoken: {done['token']}")
            elif retry is not None:
                done = await retried(client, retry)
                _print(done, as_json, "It can be found now." if done["settled"] else "It still cannot be read.")
            else:
                wanted = {"source": source, "stage": stage, "q": match, "label": label}
                found = await listed(client, wanted, limit, _demands(where or ()))
                if as_json:
                    _print({"documents": found}, True, "")
                else:
                    show_documents(found, _out)

    _run(act())


@app.command(name="eval")
def evaluate_(
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
    config: ConfigFile = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Measure retrieval with every setting, on a test collection or on what is indexed here."""

    async def run() -> Report:
        if corpus is not None:
            reranking = None if reranker is None else opened_reranker(reranker)
            return await evaluate(opened(embedding), corpus, queries, qrels, k, cache, _say, reranking)
        settings = _load(config)
        async with connect(settings, _viewer(as_user, groups)) as client:
            reranked = settings.models.rerank if settings.models.reranker else None
            return await evaluate_running(client, queries, qrels, k, _say, reranked=reranked)

    report: Report = _run(run())
    shown = Table("setting", f"nDCG@{k}", "recall@10", "recall@50", "MRR", box=None)
    for s in report.settings:
        shown.add_row(s.setting, *(f"{x:.4f}" for x in (s.ndcg, s.recall_10, s.recall_50, s.mrr)))
    if as_json:
        _print(dataclasses.asdict(report), True, "")
    else:
        _out.print(shown)
    if report.settings[0].ndcg < floor:
        _fail_text(f"nDCG@{k} {report.settings[0].ndcg:.4f} is below the floor of {floor}.")


@app.command()
def redact(
    file: Annotated[Path, typer.Argument(help="A text; - is the input.")] = Path("-"),
    source: Annotated[str, typer.Option(help="By the policy of this source; otherwise everything is masked.")] = "",
    measure: Annotated[
        Path | None, typer.Option("--evaluate", help="Texts with spans, JSON lines: say how much is found.")
    ] = None,
    labels: Annotated[list[str] | None, typer.Option("--label", help="LABEL=kind: what the file calls a kind.")] = None,
    config: ConfigFile = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show what would be found and replaced in a text, or measure it on texts with known spans."""
    try:
        redactor = opened_redactor(chosen(_load(config), source) if source else None)
        if measure is not None:
            report = measured(redactor, measure, labels or ())
            _print(dataclasses.asdict(report), as_json, measured_text(report))
            return
        text = sys.stdin.read() if file == Path("-") else file.read_text(encoding="utf-8")
        done = redactor.redact(text)
        if as_json:
            _print({"text": done.text, "spans": spans(text, done, redactor)}, True, "")
        else:
            sys.stdout.write(done.text)
            _say(shown(text, done, redactor))
    except HeadraceError as error:
        _fail(error)
    except (OSError, UnicodeDecodeError) as error:
        _fail_text(f"{file} cannot be read: {error}")


@app.command()
def log(
    topic: str,
    start: Annotated[int, typer.Option("--from", help="The first offset.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with changes to come.")] = False,
    config: ConfigFile = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Print a topic's changes as Debezium-compatible envelopes, one a line."""

    async def show() -> None:
        async with connect(_load(config)) as client:
            async for line in client.lines(f"/v1/log/{topic}", {"from": start, "follow": follow}):
                sys.stdout.write(line + "\n" if as_json else _envelope(line) + "\n")
                if follow:
                    sys.stdout.flush()

    _run(show())


@app.command()
def snapshot(
    tables: Annotated[str | None, typer.Argument(help="source.schema.table; * is any part of it.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="The first key; its values joined by commas.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="The last key, included.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Show the progress until it ends.")] = True,
    cancel: Annotated[str | None, typer.Option(help="Cancel the snapshot of this id.")] = None,
    config: ConfigFile = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Read tables again while they are captured, and delete what only Headrace still has; without a table: list."""

    async def run() -> bool:
        async with connect(_load(config)) as client:
            if cancel:
                jobs = [await client.delete(f"/v1/snapshots/{quote(cancel, safe='')}")]
            elif tables is None:
                jobs = (await client.get("/v1/snapshots"))["snapshots"]
            else:
                body = {"tables": tables, "from": first, "to": last}
                jobs = (await client.post("/v1/snapshots", body))["snapshots"]
                if wait:
                    return await follow(client, jobs, as_json=as_json, terminal=_out)
            _print({"snapshots": jobs}, as_json, "\n".join(snapshot_line(j) for j in jobs) or "no snapshots")
            return True

    if not _run(run()):
        raise SystemExit(1)


@app.command()
def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Put right what differs, then look again.")] = False,
    source: Annotated[bool, typer.Option(help="Hold the index against the files of folder sources too.")] = True,
    limit: Annotated[int, typer.Option(help="Name so many of the documents that differ.")] = 100,
    config: ConfigFile = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Prove that the index is what the log and the sources say; exits 1 when something differs."""

    async def run() -> Shown:
        async with connect(_load(config)) as client:
            body = {"repair": repair, "source": source, "limit": limit}
            return await verified(client, body, None if as_json else _err)

    report: Shown = _run(run())
    if as_json:
        _print(report, True, "")
    else:
        show_report(report, _out)
    if not report["equal"]:
        raise SystemExit(1)


def main() -> None:
    """The entry point: errors that name themselves instead of tracebacks."""
    try:
        app()
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone: nothing to say, and nobody to say it to


def _load(path: Path) -> Config:
    try:
        return load(path)
    except HeadraceError as error:
        _fail(error)


def _demands(texts: Sequence[str]) -> dict[str, Any]:
    try:
        return demands(texts)
    except HeadraceError as error:
        _fail(error)


def _given(texts: Sequence[str]) -> str:
    """As JSON."""
    try:
        return json.dumps(given(texts), ensure_ascii=False)
    except HeadraceError as error:
        _fail(error)


def _viewer(user: str | None, groups: str | None) -> Viewer | None:
    """As whom it is read; None: as the operator."""
    if user is None and groups is None:
        return None
    return Viewer(user, frozenset((groups or "").split(",")) - {""})


def _call(config: Path, path: str, body: dict[str, Any] | None = None, viewer: Viewer | None = None) -> Any:
    async def call() -> Any:
        async with connect(_load(config), viewer) as client:
            return await (client.get(path) if body is None else client.post(path, body))

    return _run(call())


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    _logging()
    try:
        return uvloop.run(work)
    except HeadraceError as error:
        _fail(error)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _fail(error: HeadraceError) -> NoReturn:
    _err.print(f"[red]{escape(error.title)}[/red]: could not {escape(error.step)}", markup=True)
    _err.print(f"  expected  {error.expected}", markup=False)
    _err.print(f"  got       {error.got}", markup=False)
    _err.print(f"  remedy    {error.remedy}", markup=False)
    raise SystemExit(1)


def _fail_text(text: str) -> NoReturn:
    _err.print(text, markup=False)
    raise SystemExit(1)


def _say(text: str) -> None:
    _err.print(text, markup=False)


def _print(value: object, as_json: bool, text: str) -> None:
    if as_json:
        sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    else:
        _out.print(text)


def _logging() -> None:
    """Logs go to stderr: readable on a terminal, JSON lines elsewhere."""
    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


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


def _envelope(line: str) -> str:
    change = json.loads(line)
    key, after = json.dumps(change.get("key")), json.dumps(change.get("after"))[:200]
    return f"{change['source'].get('ts_ms')}  {change['op']}  {key}  {after}"
