"""Commands that hold an index against its sources, and put it right: `snapshot`, `verify`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from headrace.cli.calling import DEFAULT, AsJson, ConfigFile, configured, run
from headrace.cli.terminal import err, out, show
from headrace.client import connect
from headrace.showing import Shown, follow, snapshot_line
from headrace.showing_verify import show_report, verified


def snapshot(
    tables: Annotated[str | None, typer.Argument(help="source.schema.table; * is any part of it.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="The first key; its values joined by commas.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="The last key, included.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Show the progress until it ends.")] = True,
    cancel: Annotated[str | None, typer.Option(help="Cancel the snapshot of this id.")] = None,
    config: ConfigFile = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Read tables again while they are captured, and delete what only Headrace still has; without a table: list."""

    async def act() -> bool:
        async with connect(configured(config)) as client:
            if cancel:
                jobs = [await client.delete(f"/v1/snapshots/{quote(cancel, safe='')}")]
            elif tables is None:
                jobs = (await client.get("/v1/snapshots"))["snapshots"]
            else:
                body = {"tables": tables, "from": first, "to": last}
                jobs = (await client.post("/v1/snapshots", body))["snapshots"]
                if wait:
                    return await follow(client, jobs, as_json=as_json, terminal=out)
            show({"snapshots": jobs}, as_json, "\n".join(snapshot_line(j) for j in jobs) or "no snapshots")
            return True

    if not run(act()):
        raise SystemExit(1)


def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Put right what differs, then look again.")] = False,
    source: Annotated[bool, typer.Option(help="Hold the index against the files of folder sources too.")] = True,
    limit: Annotated[int, typer.Option(help="Name so many of the documents that differ.")] = 100,
    config: ConfigFile = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Prove that the index is what the log and the sources say; exits 1 when something differs."""

    async def look() -> Shown:
        async with connect(configured(config)) as client:
            body = {"repair": repair, "source": source, "limit": limit}
            return await verified(client, body, None if as_json else err)

    report: Shown = run(look())
    if as_json:
        show(report, True, "")
    else:
        show_report(report, out)
    if not report["equal"]:
        raise SystemExit(1)
