"""Commands that look at how a Headrace is, and at what came to it: `status`, `doctor`, `token`, `log`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.table import Table

from headrace.cli.calling import DEFAULT, AsJson, ConfigFile, call, configured, run
from headrace.cli.terminal import out, show
from headrace.client import answering_at, connect, running
from headrace.registry import Lazily
from headrace.showing import renewal_findings, renewal_line, reranker_line, service_line, succession_line, telling_line

if TYPE_CHECKING:
    from headrace import diagnosis
    from headrace.diagnosis import Diagnosis
else:
    diagnosis = Lazily("headrace.diagnosis")


def status(config: ConfigFile = DEFAULT, as_json: AsJson = False) -> None:
    """Show sources, operators and what waits."""
    found = call(config, "/v1/status")
    if as_json:
        show(found, True, "")
        return
    sources = Table("source", "state", "position", "freshness", "changes/s", "errors", box=None)
    for s in found["sources"]:
        fresh = "-" if s["freshness_ms"] is None else f"{s['freshness_ms']:.0f} ms"
        sources.add_row(s["name"], s["state"], s["position"] or "-", fresh, str(s["rate"]), str(s["errors"]))
    operators = Table("operator", "source", "behind by", "changes/s", "dead letters", box=None)
    for o in found["operators"]:
        operators.add_row(o["name"], o["source"], str(o["lag"]["changes"]), str(o["rate"]), str(o["dead_letters"]))
    out.print(sources)
    out.print(operators)
    out.print(f"{found['documents']['total']} documents, {found['profiles']} profiles")
    work = (renewal_line(found["renewal"]), succession_line(found["succession"]), telling_line(found["telling"]))
    models = (*(service_line(e) for e in found["embedders"]), reranker_line(found["reranker"]))
    for line in (*work, *models):
        if line:
            out.print(line, markup=False)
    if building := found["store"]["index"]["building"]:
        out.print(f"an index of vectors is built: {building['done']} of {building['total']} chunks")
    for s in found["sources"]:
        if s["reason"]:
            out.print(f"{s['name']}: {s['reason']}")


def doctor(config: ConfigFile = DEFAULT, as_json: AsJson = False) -> None:
    """Check every source and the store before use; exit code 1 when something is to be mended."""
    settings = configured(config)

    async def look() -> Diagnosis:
        at = await answering_at(settings)
        found = await diagnosis.examine(settings, running=at)
        if at is None:
            return found
        async with running(settings) as client:
            return {**found, "steps": renewal_findings(await client.get("/v1/status"))}

    found: Diagnosis = run(look())
    problems = sum(f.problem for findings in found.values() for f in findings)
    if as_json:
        rows = [{"subject": s, **msgspec.to_builtins(f)} for s, findings in found.items() for f in findings]
        show({"problems": problems, "findings": rows}, True, "")
    else:
        for subject, findings in found.items():
            out.print(f"[bold]{subject}[/bold]")
            for f in findings:
                out.print(f"  {f.level:8}{f.check}: {f.got}", markup=False)
                if f.problem:
                    out.print(f"          expected  {f.expected}", markup=False)
                    out.print(f"          remedy    {f.remedy}", markup=False)
        out.print(f"{problems} to mend" if problems else "Everything is in order.")
    if problems:
        raise SystemExit(1)


def token(config: ConfigFile = DEFAULT, as_json: AsJson = False) -> None:
    """Print a token of everything that is committed at the sources now."""
    found = call(config, "/v1/token")
    show(found, as_json, found["token"])


def log(
    topic: str,
    start: Annotated[int, typer.Option("--from", help="The first offset.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with changes to come.")] = False,
    config: ConfigFile = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Print a topic's changes as Debezium-compatible envelopes, one a line."""

    async def follow_lines() -> None:
        async with connect(configured(config)) as client:
            async for line in client.lines(f"/v1/log/{topic}", {"from": start, "follow": follow}):
                sys.stdout.write(line + "\n" if as_json else _envelope(line) + "\n")
                if follow:
                    sys.stdout.flush()

    run(follow_lines())


def _envelope(line: str) -> str:
    change = json.loads(line)
    key, after = json.dumps(change.get("key")), json.dumps(change.get("after"))[:200]
    return f"{change['source'].get('ts_ms')}  {change['op']}  {key}  {after}"
