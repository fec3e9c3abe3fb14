"""How the command line shows a verification: its progress while it runs, then what it found."""

from __future__ import annotations

import json

from rich.console import Console
from rich.table import Table

from headrace.client import Client, refused
from headrace.errors import HeadraceError
from headrace.showing import Shown

_COUNTS = ("documents", "chunks", "ok", "different", "missing", "ghost", "untold", "earlier")


async def verified(client: Client, body: Shown, terminal: Console | None) -> Shown:
    """Runs one and gives its report; with a `terminal` its progress is shown there. Raises what ended it."""
    report: Shown | None = None
    async for line in client.lines("/v1/verify", {}, body):
        told = json.loads(line)
        if "problem" in told:
            raise refused(told["problem"])
        if "progress" in told and told["progress"]["done"] and terminal is not None:
            terminal.print(progress_line(told["progress"]), markup=False)
        report = told.get("report", report)
    if report is None:
        raise HeadraceError(
            step="verify the index",
            expected="a report",
            got="the end of the connection",
            remedy="See Headrace's log, then run it again.",
        )
    return report


def progress_line(progress: Shown) -> str:
    """`documents: 1200 of 30000, 850/s, about 34 s to go`"""
    of = "" if progress["total"] is None else f" of {progress['total']}"
    parts = [f"{progress['step']}: {progress['done']}{of}"]
    if progress["done"]:
        parts.append(f"{progress['rate']:.0f}/s")
        if progress["eta_s"] is not None:
            parts.append(f"about {progress['eta_s']:.0f} s to go")
    return ", ".join(parts)


def show_report(report: Shown, terminal: Console) -> None:
    """A table of the sources, what differs, and the upshot."""
    table = Table("source", *_COUNTS, box=None)
    for s in report["sources"]:
        table.add_row(s["source"], *(str(s[c]) for c in _COUNTS))
    terminal.print(table)
    for s in report["sources"]:
        for note in s["notes"]:
            terminal.print(f"{s['source']}: {note}", markup=False)
    for d in report["differences"]:
        terminal.print(f"{d['kind']:10}{d['document']}: {'; '.join(d['what'])}", markup=False)
    if report["more"]:
        terminal.print(f"and {report['more']} more documents")
    for what in report["index"]:
        terminal.print(what, markup=False)
    if report["repaired"]:
        terminal.print(f"{report['repaired']} documents were repaired")
    terminal.print("The index is equal." if report["equal"] else "The index differs.")
