"""What may go wrong with a MySQL source, in words; and which of it passes by itself."""

from __future__ import annotations

from headrace.change import Position
from headrace.errors import BadInput, SourceError
from headrace.sources import Rejected

_COPY_AFRESH = "To copy the tables afresh, give the source a new name in the configuration."

_ACCESS = frozenset({1044, 1045, 1698, 1820, 1862})
_PRIVILEGE = frozenset({1142, 1143, 1227, 1370, 1410})
_PASSING = frozenset({
    1040, 1042, 1053, 1077, 1079, 1129, 1152, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1226, 1290, 1317, 1927, 3024,
    2002, 2003, 2005, 2006, 2013, 2055, 3169, 4031,
})  # fmt: skip
"""Too many connections, going down, lock waits, killed, nobody there, gone away."""

_LOG = 1236


class Broken(Exception):
    """The connection broke or was refused for a reason that may pass: try again. `error` says why, for people."""

    def __init__(self, error: SourceError) -> None:
        super().__init__(str(error))
        self.error = error


def connect_failed(shown: str, code: int, text: str) -> Broken | SourceError:
    """Broken when waiting may help (nobody listens, too many connections), SourceError when a person must act."""
    step = f"connect to {shown}"
    if code in _ACCESS:
        remedy = "Correct the user name or password of the source's URL, or grant the user access from this host."
    elif code == 1049:
        remedy = "Correct the database in the source's URL."
    elif code == 2026 or "certificate" in text.lower() or "ssl" in text.lower():
        remedy = "Correct `ssl` and `ssl_ca` of the source's URL, or the server's TLS settings."
    elif code in _PASSING or not code:
        return Broken(
            SourceError(
                step=step,
                expected="a MySQL or MariaDB server that answers there",
                got=text,
                remedy="Check that the server runs and is reachable at that address; Headrace keeps trying.",
            )
        )
    else:
        remedy = "Correct the source's URL: the server refuses the connection."
    return SourceError(step=step, expected="a connection that the server accepts", got=text, remedy=remedy)


def query_failed(shown: str, step: str, code: int, text: str) -> Broken | SourceError:
    """A statement failed: as `connect_failed`, by the server's error number."""
    if code in _PRIVILEGE or code in _ACCESS:
        return SourceError(
            step=step,
            expected=f"the privileges for it at {shown}",
            got=text,
            remedy="GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO the user (MySQL also RELOAD).",
        )
    if code in _PASSING or not code:
        return Broken(SourceError(step=step, expected="an answer", got=text, remedy="Headrace connects again."))
    return SourceError(step=step, expected=f"success at {shown}", got=text, remedy="See what the server says.")


def stream_failed(shown: str, place: str, code: int, text: str) -> Broken | SourceError:
    """The server ended the stream with an error."""
    if code != _LOG:
        return query_failed(shown, f"read the binary log from {place}", code, text)
    if "same server" in text or ("server_id" in text and "slave" in text.lower() and "connected" in text):
        return Broken(
            SourceError(
                step=f"read the binary log from {place}",
                expected="no other reader with our server id",
                got=text,
                remedy="Stop the other Headrace that reads as this one. Headrace keeps trying.",
            )
        )
    return lost(shown, place, text)


def copy_again(shown: str, got: str) -> Broken:
    return Broken(
        SourceError(
            step=f"copy the tables of {shown}",
            expected="the tables as one snapshot shows them",
            got=got,
            remedy="Headrace starts the copy again.",
        )
    )


def lost(shown: str, place: str, got: str) -> SourceError:
    """Changes are gone that were never captured: nothing may go on as if they were not."""
    return SourceError(
        step=f"continue from {shown}",
        expected=f"the binary log from {place} on",
        got=got,
        remedy=f"Changes may be missing, so Headrace does not go on. {_COPY_AFRESH}",
    )


def unexpected_bytes(shown: str, problem: Exception) -> SourceError:
    return SourceError(
        step=f"decode the binary log of {shown}",
        expected="row events",
        got=str(problem),
        remedy="Set what is named here at the server; otherwise report this with the server's version. "
        f"What is passed over by that is missing. {_COPY_AFRESH}",
    )


def untold(topic: str) -> BadInput:
    """Rows of a captured table that the log does not have whole."""
    return BadInput(
        step=f"read rows of {topic} in the binary log",
        expected="rows with all of their columns",
        got="some without: a session wrote them with binlog_row_image = MINIMAL or NOBLOB, with binlog_format = "
        "STATEMENT or MIXED, or as parts of JSON values",
        remedy="They are being read from the table beside the stream: see headrace snapshot. Let no session change "
        "these settings, for each time costs a reading.",
    )


def silent(shown: str, seconds: float) -> Broken:
    """The peer sends not even heartbeats: a half-open connection."""
    return Broken(
        SourceError(
            step=f"read from {shown}",
            expected="a heartbeat",
            got=f"nothing for {seconds:.0f} s",
            remedy="Headrace connects again; check the network if this comes back.",
        )
    )


def behind(shown: str, place: str) -> Broken:
    """The server says that there is no more, but its log is further on: perhaps it was reset under its reader."""
    return Broken(
        SourceError(
            step=f"read from {shown}",
            expected="the binary log up to its end",
            got=f"nothing behind {place}",
            remedy="Headrace connects again and looks whether the log is still the same.",
        )
    )


def rejected_row(topic: str, position: Position, at: int, why: ValueError) -> Rejected:
    """A row that was read from its table; `at`: when, microseconds since the epoch."""
    error = BadInput(
        step=f"read a row of {topic}",
        expected="values that their types allow",
        got=str(why),
        remedy="Correct the row at the source: its next change is captured.",
    )
    return Rejected(topic, "", position, at, error)
