"""Test collections as BEIR lays them out: a corpus, queries, and which documents are right for which query.

Corpus: JSON lines with `_id`, `title`, `text` and perhaps `metadata.date`, or a folder of files whose ids are their
paths. Queries: JSON lines with `_id` and `text`. Judgements: tab-separated query, document and grade under a line of
names, or TREC's four columns without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from headrace.clock import parse_rfc3339
from headrace.errors import BadRequest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Item:
    """A document as a file: its id in the collection, a path, its bytes, and when it was committed (microseconds)."""

    id: str
    path: str
    content: bytes
    at: int


@dataclass(frozen=True, slots=True)
class Query:
    id: str
    text: str


Judgements = Mapping[str, Mapping[str, int]]
"""Query -> document -> grade."""


class _Metadata(msgspec.Struct):
    date: str | None = None


class _Line(msgspec.Struct):
    id: str = msgspec.field(name="_id")
    text: str
    title: str = ""
    metadata: _Metadata | None = None


def corpus(path: Path, now: int) -> list[Item]:
    """The documents of a JSONL file, of a folder with a corpus.jsonl, or of a folder of files. Raises BadRequest."""
    if path.is_dir() and (path / "corpus.jsonl").is_file():
        path = path / "corpus.jsonl"
    if path.is_dir():
        files = sorted(f for f in path.rglob("*") if f.is_file() and not f.name.startswith("."))
        names = [f.relative_to(path).as_posix() for f in files]
        return [Item(n, n, f.read_bytes(), f.stat().st_mtime_ns // 1000) for n, f in zip(names, files, strict=True)]
    lines = list(_lines(path, msgspec.json.Decoder(_Line).decode))
    return [Item(r.id, f"{n}.md", _markdown(r), _date(r, now)) for n, r in enumerate(lines)]


def queries(path: Path, judged: Judgements) -> list[Query]:
    """Those that are judged. Raises BadRequest when there is none."""
    found = [Query(r.id, r.text) for r in _lines(path, msgspec.json.Decoder(_Line).decode) if r.id in judged]
    if not found:
        raise BadRequest(
            step=f"read {path}", expected="queries that are judged", got="none",
            remedy="Pass the queries that the judgements are of.",
        )  # fmt: skip
    return found


def judgements(path: Path) -> Judgements:
    """Raises BadRequest."""
    found: dict[str, dict[str, int]] = {}
    for n, row in enumerate(_lines(path, lambda line: line.decode().split())):
        if n == 0 and not row[-1].lstrip("-").isdigit():
            continue  # the names of the columns
        if len(row) not in (3, 4) or not row[-1].lstrip("-").isdigit():
            raise _unreadable(path, n, "query, document and grade", " ".join(row))
        found.setdefault(row[0], {})[row[-2]] = int(row[-1])
    return found


def _lines(path: Path, decode: Callable[[bytes], T]) -> Iterator[T]:
    if not path.is_file():
        raise BadRequest(step=f"read {path}", expected="a file", got="none of that name", remedy="Correct the path.")
    for n, line in enumerate(path.read_bytes().split(b"\n")):
        if line.strip():
            try:
                yield decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise _unreadable(path, n, "a JSON object with _id and text", str(error)) from None


def _unreadable(path: Path, n: int, expected: str, got: str) -> BadRequest:
    return BadRequest(step=f"read {path}, line {n + 1}", expected=expected, got=got[:200], remedy="Correct the line.")


def _markdown(line: _Line) -> bytes:
    return (f"# {line.title}\n\n{line.text}\n" if line.title else f"{line.text}\n").encode()


def _date(line: _Line, now: int) -> int:
    text = line.metadata.date if line.metadata else None
    if text is None:
        return now
    return parse_rfc3339(text if "T" in text else f"{text}T00:00:00Z")


def known(judged: Judgements, ids: Sequence[str], path: Path) -> None:
    """Raises BadRequest when no judged document is in the corpus: then the ids are of another kind."""
    if not {d for of in judged.values() for d in of}.intersection(ids):
        raise BadRequest(
            step=f"read {path}",
            expected="documents of the corpus, such as " + (", ".join(ids[:3]) or "(it is empty)"),
            got=", ".join([d for of in judged.values() for d in of][:3]) or "none",
            remedy="The judgements name documents by the corpus's `_id`, or by the path in the folder.",
        )
