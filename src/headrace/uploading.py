"""`headrace upload`: files to a Headrace that runs, each streamed, and followed until it is in the index. Large ones go
to its object store, where it has one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from headrace.client import Client
from headrace.errors import BadRequest, HeadraceError, SourceError

PATIENCE_S = 120.0
_PIECE = 1 << 18
_LATER = (429, 503)
_CREATED = 201
_REFUSALS = (400, 409, 413, 422)
"""Of one file: the others go on."""
_ENDED = ("ready", "failed")
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class File:
    """A file and the name that its document gets."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class How:
    """To which source, whether in the place of documents of the same names, whether it is waited for, whom they are for
    and what their metadata are (JSON) where that is said."""

    source: str
    replace: bool
    wait: bool
    owner: str | None = None
    groups: str | None = None
    metadata: str | None = None

    @property
    def params(self) -> dict[str, str]:
        told = {"source": self.source or None, "owner": self.owner, "groups": self.groups}
        told["metadata"] = self.metadata
        return {"replace": "true" if self.replace else "false"} | {n: v for n, v in told.items() if v is not None}

    def announced(self, name: str, size: int) -> dict[str, Any]:
        groups = None if self.groups is None else self.groups.split(",")
        metadata = None if self.metadata is None else msgspec.json.decode(self.metadata)
        told = {"source": self.source or None, "owner": self.owner, "groups": groups, "metadata": metadata}
        return {"name": name, "size": size, "replace": self.replace} | {n: v for n, v in told.items() if v is not None}


@dataclass(slots=True)
class Sent:
    """What came of all files. `documents`: as the registry shows them at the end, with their `outcome`; `refused`:
    names and why; `through`: names of those that the object store did not take, and why: they were sent to Headrace."""

    documents: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    refused: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    through: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    token: str = ""


def files_of(paths: Sequence[Path], named: str) -> list[File]:
    """Files as they are named, and all of a folder by their paths from it on; hidden ones left out. Raises
    BadRequest."""
    found: list[File] = []
    for path in paths:
        if path.is_dir():
            inside = [p for p in sorted(path.rglob("*")) if p.is_file() and not _hidden(p, path)]
            found += [File(p, (Path(path.resolve().name) / p.relative_to(path)).as_posix()) for p in inside]
        elif path.is_file():
            found.append(File(path, named or path.name))
        else:
            raise BadRequest(
                step="upload files",
                expected="files and folders",
                got=str(path),
                remedy="Correct the path; nothing was sent.",
            )
    if named and len(found) != 1:
        raise BadRequest(
            step="upload files", expected="one file with --as", got=f"{len(found)} files", remedy="Leave --as out."
        )
    return found


async def upload_files(client: Client, files: Sequence[File], how: How, *, told: Callable[[str], object]) -> Sent:
    """Sends one after the other, then waits for all. Raises Refused, SourceError."""
    sent, apart_from = Sent(), await _apart_from(client, how)
    for n, file in enumerate(files, start=1):
        told(f"{n} of {len(files)}: {file.name}")
        apart = apart_from is not None and file.path.stat().st_size >= apart_from
        response = await _by_store(client, file, how, sent) if apart else None
        if response is None:
            response = await _through(client, file, how)
        _note(client, file, response, sent)
    if how.wait:
        await _follow(client, sent, told)
    return sent


def _note(client: Client, file: File, response: httpx2.Response, sent: Sent) -> None:
    """Raises Refused for what no other file would fare better with."""
    told = "rejected" in response.text or "/presigned" in response.url.path
    if response.status_code in _REFUSALS and told:
        problem = response.json()
        sent.refused.append((file.name, f"expected {problem['expected']}, got {problem['got']}. {problem['remedy']}"))
        return
    answer = client.checked(response).json()
    sent.documents += answer["documents"]
    sent.token = answer["token"]


async def _through(client: Client, file: File, how: How) -> httpx2.Response:
    """Sent to Headrace itself."""
    params = {"name": file.name, **how.params}
    return await _answered(file, lambda: client.send("/v1/documents", params, {}, _pieces(file.path)))


async def _apart_from(client: Client, how: How) -> int | None:
    """How large files are at least that go to the object store; None where there is none, or no telling."""
    try:
        status = await client.get("/v1/status")
    except (HeadraceError, httpx2.TransportError):
        return None  # it is starting: whoever sends has patience
    taking = [s["uploads"] for s in status["sources"] if s["uploads"] and how.source in ("", s["name"])]
    return next((u["presigned"]["min_bytes"] for u in taking if u["presigned"]), None)


async def _by_store(client: Client, file: File, how: How, sent: Sent) -> httpx2.Response | None:
    """Put to the object store by ourselves; None where that does not take it."""
    body = msgspec.json.encode(how.announced(file.name, file.path.stat().st_size))
    kind = {"content-type": "application/json"}
    signed = await _answered(file, lambda: client.send("/v1/documents/presigned", {}, kind, body))
    if signed.status_code != _CREATED:
        return signed if signed.status_code in _REFUSALS else None
    target = signed.json()
    refused = await _put(file, target["url"], target["headers"])
    if refused:
        sent.through.append((file.name, refused))
        return None
    return await _answered(file, lambda: client.send(target["complete"], {}, {}, b""))


async def _put(file: File, url: str, headers: dict[str, str]) -> str:
    """Why the object store did not take it; empty: it did. The URL is a secret, and is told nowhere."""
    try:
        async with httpx2.AsyncClient(timeout=PATIENCE_S) as http:
            response = await http.put(url, headers=headers, content=_pieces(file.path))
        return "" if response.is_success else str(response.status_code)
    except httpx2.TransportError as error:
        return type(error).__name__


async def _answered(file: File, send: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
    """Sending again is safe: what came in already is unchanged then."""
    loop = asyncio.get_running_loop()
    deadline, pause_s = loop.time() + PATIENCE_S, 0.1
    while True:
        try:
            response = await send()
            if response.status_code not in _LATER or loop.time() > deadline:
                return response
        except httpx2.TransportError as error:
            if loop.time() > deadline:
                raise SourceError(
                    step=f"upload {file.name}",
                    expected="a Headrace that answers",
                    got=f"{type(error).__name__}: {error}",
                    remedy="Start it, then upload again: what came in already is left as it is.",
                ) from None
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, 3.0)


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece


async def _follow(client: Client, sent: Sent, told: Callable[[str], object]) -> None:
    """Until each is ready or failed, or gone again."""
    waiting = {d["id"]: d for d in sent.documents}
    while waiting:
        for id, document in list(waiting.items()):
            now = next((d for d in await _listed(client, id) if d["id"] == id), None)
            if now is None or now["stage"] in _ENDED:
                document.update(now or {"stage": "gone"})
                del waiting[id]
        if waiting:
            told(f"{len(waiting)} on their way into the index")
            await asyncio.sleep(_LOOK_S)


async def _listed(client: Client, id: str) -> list[dict[str, Any]]:
    return (await client.get("/v1/documents", {"prefix": id, "limit": 1000}))["documents"]


def _hidden(path: Path, under: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(under).parts)
