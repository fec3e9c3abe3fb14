"""What somebody asks of the snapshots of a database, whichever it is."""

from __future__ import annotations

from urllib.parse import unquote

from headrace.errors import BadRequest, NotFound
from headrace.sources import SnapshotJob, SnapshotState
from headrace.sources.snapshots.jobs import Jobs, Reason


def key_values(key: str | None) -> tuple[str, ...] | None:
    """As `key_text` writes them."""
    return None if key is None else tuple(unquote(part) for part in key.split(","))


def unusable(expected: str, got: str) -> BadRequest:
    """A request for a snapshot that cannot be meant."""
    remedy = "Correct the request: see headrace snapshot --help."
    return BadRequest(step="read a table again", expected=expected, got=got, remedy=remedy)


def cancelled(jobs: Jobs, id: str) -> SnapshotJob:
    """Ends one that somebody asked for. Raises NotFound, BadRequest."""
    job = jobs.all.get(id)
    if job is None or job.ended:
        raise NotFound(
            step="cancel a snapshot",
            expected="one that waits or runs",
            got=id[:50],
            remedy="See headrace snapshot.",
        )
    if job.reason is not Reason.ASKED:
        raise unusable("a snapshot that somebody asked for", f"{id}, by which {job.table} is being captured")
    jobs.put(job.end(SnapshotState.CANCELLED))
    return next(s for s in jobs.shown() if s.id == id)
