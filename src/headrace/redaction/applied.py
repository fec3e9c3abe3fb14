"""Under which policy each source's texts were indexed: kept beside Headrace's data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from headrace.clock import now_us
from headrace.errors import ConfigError
from headrace.findings import Finding, warning

FILE = "redaction.json"


class Policies(msgspec.Struct, frozen=True):
    """`ids` of a source: the newest last, empty for none; `since`: when it came (microseconds)."""

    ids: tuple[str, ...] = ()
    since: int = 0


def changed(data: Path, rows: Mapping[str, Sequence[str]], ids: Mapping[str, str]) -> Iterator[Finding]:
    """Sources of rows that were indexed under another policy than that of now. A folder's documents are read again by
    themselves; rows keep their form until they change or are read again."""
    known = _read(data)
    for source, tables in rows.items():
        policies = known.get(source)
        others = {i for i in policies.ids if i != ids.get(source, "")} if policies else set[str]()
        if others:
            yield warning(
                f"{source}: rows of an earlier redaction",
                expected="all rows indexed under the policy of now",
                got="rows that have not changed since the policy did keep the text that the earlier one gave them",
                remedy=f"Read them again: headrace snapshot {tables[0]} (each table; a push: source is pushed again), "
                f"then delete {FILE} in the data folder.",
            )


def remember(data: Path, ids: Mapping[str, str]) -> None:
    """Adds what is used from now on."""
    known = _read(data)
    for source, id in ids.items():
        before = known.get(source)
        if before is None:
            first = (id,) if not (data / "identity").exists() or not id else ("", id)
            known[source] = Policies(first, now_us())
        elif before.ids[-1] != id:
            known[source] = Policies((*(i for i in before.ids if i != id), id), now_us())
    file = data / FILE
    fresh = file.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(known))
    fresh.replace(file)


def _read(data: Path) -> dict[str, Policies]:
    try:
        return msgspec.json.decode((data / FILE).read_bytes(), type=dict[str, Policies])
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError as error:
        raise ConfigError(
            step=f"read {FILE} in the data folder",
            expected="what Headrace wrote there",
            got=str(error),
            remedy="Delete it; rows that were indexed under an earlier redaction are then no longer told.",
        ) from None
