"""Looks at everything that a configuration names before it is used: `headrace doctor`, and first of all in `up`."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import structlog

from headrace.app.opening import partitions, source_settings
from headrace.app.rules import redactors
from headrace.config import Config
from headrace.config.sections import Server
from headrace.config.sources import SourceEntry
from headrace.embedding import embedding_findings
from headrace.errors import ConfigError, HeadraceError
from headrace.findings import Finding, Level, error, failed, note, ok, warning
from headrace.folder import known_identity
from headrace.objects import ObjectStore
from headrace.registry import DOCTORS, LOGS, OBJECT_STORES, SOURCES, STORE_DOCTORS, lookup
from headrace.reranking import reranking_findings
from headrace.server.serve import bind

LEAST_DISK, LITTLE_DISK = 200 << 20, 2 << 30
"""Bytes free: below the first nothing works for long, below the second not for very long."""
PATIENCE_S = 20.0

_LOOPBACK = ("127.0.0.1", "::1", "localhost")

Diagnosis = Mapping[str, Sequence[Finding]]
"""By what was looked at: `data`, `store`, `log`, `embedding`, `reranker` where there is one, `redaction`, `server`,
`uploads` where there is an object store for them, then each source by its name."""

logger = structlog.get_logger("headrace.doctor")


async def examine(config: Config, *, running: str | None = None) -> Diagnosis:
    """`running`: where a Headrace on this data folder answers now."""
    data = Path(config.headrace.data)
    looks: dict[str, Awaitable[Sequence[Finding]]] = {
        "data": _guarded(lambda: asyncio.to_thread(_data, data)),
        "store": _guarded(lambda: _store(config, data)),
        "log": _guarded(lambda: _log(config)),
        "embedding": _guarded(lambda: _embedding(config)),
        **({"reranker": _guarded(lambda: reranking_findings(config.models))} if config.models.reranker else {}),
        "redaction": _guarded(lambda: _redaction(config)),
        "server": _guarded(lambda: _server(config, running)),
    }
    if config.uploads.object_store:
        looks["uploads"] = _guarded(lambda: _uploads(config, config.uploads.object_store or ""))
    found = dict(zip(looks, await asyncio.gather(*looks.values()), strict=True))
    return {**found, **{f"source {name}": seen for name, seen in (await sources(config)).items()}}


async def sources(config: Config) -> Diagnosis:
    """The sources alone, by name."""
    data = Path(config.headrace.data)
    id = known_identity(data)
    seen = await asyncio.gather(*(_guarded(lambda e=e: _source(e, data, id)) for e in config.sources))
    return {e.name: findings for e, findings in zip(config.sources, seen, strict=True)}


async def told(config: Config) -> None:
    """Says once what is wrong with the sources, in the log: `up` starts all the same, for those that are in order."""
    for name, findings in (await sources(config)).items():
        for f in findings:
            if f.problem:
                tell = logger.error if f.level is Level.ERROR else logger.warning
                tell(f"{name}: {f.check}", expected=f.expected, got=f.got, remedy=f.remedy)


async def _guarded(look: Callable[[], Awaitable[Sequence[Finding]]]) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await look()
    except HeadraceError as problem:
        return [failed(problem)]
    except TimeoutError:
        got = f"none within {PATIENCE_S:.0f} s"
        return [error("answer", expected="an answer", got=got, remedy="See that it runs and can be reached.")]


async def _source(entry: SourceEntry, data: Path, id: str) -> Sequence[Finding]:
    lookup("sources", SOURCES, entry.url)
    try:
        check = lookup("doctors", DOCTORS, entry.url)
    except ConfigError:
        return [note("checks", "none for this kind of source")]
    return await check(source_settings(entry, data, id))


def _data(data: Path) -> list[Finding]:
    place = next(folder for folder in (data, *data.parents) if folder.exists())
    found: list[Finding] = []
    if not os.access(place, os.W_OK | os.X_OK):
        remedy = "Let this user write there, or set another [headrace] data."
        found.append(error("folder", expected=f"to write to {place}", got="no right to", remedy=remedy))
    else:
        found.append(ok("folder", str(data) if place == data else f"{data}, which will be made"))
    free = shutil.disk_usage(place).free
    amount = f"{free / (1 << 30):.1f} GB free"
    if free < LITTLE_DISK:
        make = error if free < LEAST_DISK else warning
        remedy = "Free space there, or set [headrace] data to another disk."
        found.append(make("disk", expected=f"{LITTLE_DISK >> 30} GB free at {place}", got=amount, remedy=remedy))
    else:
        found.append(ok("disk", amount))
    holder = _holder(data / "lock")
    if holder:
        found.append(note("in use", f"by the Headrace that runs as process {holder}"))
    return found


def _holder(lock: Path) -> str | None:
    """The process that works in the data folder."""
    try:
        file = os.open(lock, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(file, 32, 0).decode("ascii", "replace").strip() or "unknown"
    finally:
        os.close(file)
    return None


async def _store(config: Config, data: Path) -> Sequence[Finding]:
    store = config.headrace.store
    return await lookup("store_doctors", STORE_DOCTORS, store)(store, data)


async def _log(config: Config) -> Sequence[Finding]:
    log = config.headrace.log
    lookup("logs", LOGS, log)
    parts = partitions(log)
    if log.startswith("memory:"):
        return [note("log", "in memory: gone with the process")]
    return [ok("log", f"in the store, {parts} partition{'s' if parts > 1 else ''} for each topic")]


async def _embedding(config: Config) -> Sequence[Finding]:
    return await embedding_findings(config.models.embedding, config.knowledge.chunk_tokens)


async def _redaction(config: Config) -> Sequence[Finding]:
    redacting = await redactors(config)
    return [ok("policies", ", ".join(sorted(redacting)) or "none: nothing is redacted")]


async def _uploads(config: Config, url: str) -> Sequence[Finding]:
    objects: ObjectStore = await asyncio.to_thread(lookup("objects", OBJECT_STORES, url), url)
    try:
        found = list(await objects.examine(_origins(config.server)))
    finally:
        await objects.close()
    if not any(s.url.startswith("upload:") for s in config.sources):
        remedy = 'Add [[sources]] name = "uploads" url = "upload:".'
        found.append(warning("source", expected="a source that uploads go to", got="none", remedy=remedy))
    return found


def _origins(server: Server) -> list[str]:
    """Of the page: here, and behind what makes its further names reachable."""
    return [f"http://{server.host}:{server.port}", *(f"https://{name}" for name in server.hosts)]


async def _server(config: Config, running: str | None) -> Sequence[Finding]:
    host, port = config.server.host, config.server.port
    found = list(_reached(config))
    if running is not None:
        return [note("port", f"a Headrace on this data folder answers at {running}"), *found]
    bind(host, port).close()
    return [ok("port", f"{host}:{port} is free" if port else "a free one is picked"), *found]


def _reached(config: Config) -> Iterator[Finding]:
    """From where: it has no sign-in of its own."""
    host = config.server.host
    pushed = ", ".join(s.name for s in config.sources if s.url.startswith(("push:", "upload:")))
    if host not in _LOOPBACK:
        yield warning(
            "reach",
            expected="an address of this machine alone",
            got=f"{host}: whoever reaches it may read everything" + (f" and write into {pushed}" if pushed else ""),
            remedy="Set [server] host to 127.0.0.1, behind a proxy that authenticates; there is no sign-in yet.",
        )
    elif pushed:
        yield note("reach", f"{host}: only this machine can write into {pushed}")
