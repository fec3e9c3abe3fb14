"""What may go wrong with a PostgreSQL source, in words; and which of it passes by itself."""

from __future__ import annotations

import psycopg
from psycopg import errors

from headrace.errors import SourceError

_PASSING = ("starting up", "shutting down", "in recovery", "too many", "slots are reserved", "not yet accepting")
_UNMAPPED = "could not map file"
"""Of "filenode" (15) or "filenumber" (since 16): see `Copying.first`. It is for ever, unless the catalog changes."""
_COPY_AFRESH = "To copy the tables afresh, give the source a new name in the configuration."


class Broken(Exception):
    """The connection broke or was refused for a reason that may pass: try again. `error` says why, for people."""

    def __init__(self, error: SourceError) -> None:
        super().__init__(str(error))
        self.error = error


def connect_failed(shown: str, problem: psycopg.Error) -> Broken | SourceError:
    """Broken when waiting may help (nobody listens, the server starts up), SourceError when a person must act."""
    text = _first_line(problem)
    step = f"connect to {shown}"
    if "FATAL" not in text or any(word in text for word in _PASSING):
        return Broken(
            SourceError(
                step=step,
                expected="a PostgreSQL server that answers there",
                got=text,
                remedy="Check that the server runs and is reachable at that address; Headrace keeps trying.",
            )
        )
    if "authentication" in text or "no password" in text:
        remedy = "Correct the user name or password of the source's URL."
    elif "pg_hba" in text:
        remedy = "Allow this user, from this host, to the database and to replication in the server's pg_hba.conf."
    elif "wal_level" in text:
        return SourceError(**wal_level("less"))
    elif "replication" in text or "permission denied" in text or "WAL senders" in text:
        remedy = "Give the user the REPLICATION attribute (on RDS: grant rds_replication), and a free WAL sender."
    else:
        remedy = "Correct the source's URL: the server refuses the connection."
    return SourceError(step=step, expected="a connection that the server accepts", got=text, remedy=remedy)


def query_failed(shown: str, step: str, problem: psycopg.Error) -> Broken | SourceError:
    """A statement failed: as `connect_failed`, by SQLSTATE."""
    state = problem.sqlstate
    got = _first_line(problem)
    if isinstance(problem, errors.ObjectInUse):
        return Broken(
            SourceError(
                step=step,
                expected="a replication slot that nobody else uses",
                got=got,
                remedy="Stop the other Headrace that uses it; if there is none, the server frees the slot by itself "
                "within its wal_sender_timeout. Headrace keeps trying.",
            )
        )
    if isinstance(problem, errors.InsufficientPrivilege):
        return SourceError(
            step=step,
            expected=f"the privileges for it at {shown}",
            got=got,
            remedy="Give the user REPLICATION, CREATE on the database, and ownership of (or membership in the "
            "owner of) the captured tables.",
        )
    if state is None or state[:2] in ("08", "57", "53", "40") or state == "25006":
        return Broken(SourceError(step=step, expected="an answer", got=got, remedy="Headrace connects again."))
    return SourceError(step=step, expected=f"success at {shown}", got=got, remedy="See what the server says.")


def stream_failed(shown: str, slot: str, problem: psycopg.Error) -> Broken | SourceError:
    """The stream ended with an error of the server."""
    got = _first_line(problem)
    if isinstance(problem, errors.ObjectNotInPrerequisiteState | errors.UndefinedObject):
        return lost(shown, slot, got)
    step = f"read the replication slot {slot}"
    if isinstance(problem, errors.InternalError_) and _UNMAPPED in got:
        return Broken(
            SourceError(
                step=step,
                expected="changes of a table that the server can name",
                got=got,
                remedy="Headrace connects again, and nothing is passed over. Where this comes back and back, update "
                f"the server to its latest minor version. {_COPY_AFRESH}",
            )
        )
    return query_failed(shown, step, problem)


def copy_again(shown: str, got: str) -> Broken:
    return Broken(
        SourceError(
            step=f"copy the tables of {shown}",
            expected="the tables as the slot's snapshot shows them",
            got=got.splitlines()[0],
            remedy="Headrace starts the copy again.",
        )
    )


def lost(shown: str, slot: str, got: str) -> SourceError:
    """Changes are gone that were never captured: nothing may go on as if they were not."""
    return SourceError(
        step=f"continue from {shown}",
        expected=f"the replication slot {slot} with every change since the last one captured",
        got=got,
        remedy=f"Changes may be missing, so Headrace does not go on. {_COPY_AFRESH}",
    )


class SlotGone(SourceError):
    """As `lost`, at the same history of the same cluster: a copy of all tables makes it whole again."""

    @classmethod
    def of(cls, shown: str, slot: str, got: str) -> SlotGone:
        error = lost(shown, slot, got)
        return cls(
            step=error.step,
            expected=error.expected,
            got=error.got,
            remedy=f'{error.remedy} (Or set on_lag = "resnapshot": that is then done by itself, with all tables.)',
        )


def stopped_for_lag(shown: str, slot: str, retained: int, limit: int) -> SourceError:
    return SourceError(
        step=f"read {shown} without filling its disk",
        expected=f"at most {limit >> 20} MB of WAL kept for Headrace (max_retained)",
        got=f'{retained >> 20} MB; as on_lag = "stop" asks for, the slot {slot} was dropped and its WAL released',
        remedy=f'See what held Headrace up. Then set on_lag = "resnapshot", or: {_COPY_AFRESH}',
    )


def wal_level(got: str) -> dict[str, str]:
    return {
        "step": "check the server's settings",
        "expected": "wal_level = logical",
        "got": f"wal_level = {got}",
        "remedy": "ALTER SYSTEM SET wal_level = 'logical'; then restart the server "
        "(on RDS: rds.logical_replication = 1).",
    }


def unexpected_bytes(shown: str, problem: Exception) -> SourceError:
    return SourceError(
        step=f"decode the stream of {shown}",
        expected="messages of pgoutput",
        got=str(problem),
        remedy="Report this with the server's version.",
    )


def silent(shown: str, seconds: float) -> Broken:
    """The peer answers nothing: a half-open connection."""
    return Broken(
        SourceError(
            step=f"read from {shown}",
            expected="an answer to a status request",
            got=f"nothing for {seconds:.0f} s",
            remedy="Headrace connects again; check the network if this comes back.",
        )
    )


def _first_line(problem: psycopg.Error) -> str:
    lines = [line.strip() for line in str(problem).strip().splitlines() if line.strip()]
    fatal = [line for line in lines if "FATAL" in line]
    return (fatal or lines or [type(problem).__name__])[0]
