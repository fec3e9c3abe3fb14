"""Settings: `headrace.toml`, overridden by `HEADRACE_SECTION__KEY` in the environment.

Unknown keys are errors that suggest the near name; secrets stand in the file only by reference (`${env:NAME}`,
`${file:/path}`). Each section stands in a module of its own.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from headrace.config.documents import Documents, UploadSettings, check_expires
from headrace.config.durations import duration_us
from headrace.config.keys import override, refuse_unknown
from headrace.config.knowledge import Knowledge, check_told
from headrace.config.problems import READ, bad, hint
from headrace.config.profiles import Profiles
from headrace.config.references import refuse_secrets, resolved
from headrace.config.sections import AnswerSettings, Main, Models, Server, check_identity
from headrace.config.sources import SourceEntry


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """All settings."""

    headrace: Main = field(default_factory=Main)
    server: Server = field(default_factory=Server)
    models: Models = field(default_factory=Models)
    sources: list[SourceEntry] = field(default_factory=list[SourceEntry])
    documents: Documents = field(default_factory=Documents)
    uploads: UploadSettings = field(default_factory=UploadSettings)
    knowledge: Knowledge = field(default_factory=Knowledge)
    profiles: Profiles = field(default_factory=Profiles)
    answer: AnswerSettings = field(default_factory=AnswerSettings)


def load(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Reads a file; relative folders are resolved against it. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        remedy = "Run `headrace init` here, or name a file with -c."
        got = error.strerror or str(error)
        raise bad(READ, f"a file at {path}", got, remedy) from None
    except UnicodeDecodeError as error:
        got = f"another byte at offset {error.start}"
        raise bad(READ, f"UTF-8 in {path}", got, "Save the file as UTF-8.") from None
    return parse(text, path.parent.resolve(), os.environ if environ is None else environ)


def parse(text: str, base: Path, environ: Mapping[str, str]) -> Config:
    """A configuration's text to settings. Raises ConfigError."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise bad(READ, "TOML", str(error), "Correct that line.") from None
    override(raw, environ, Config)
    refuse_unknown(raw, Config)
    refuse_secrets(raw)
    values = resolved(raw, environ)
    try:
        config = msgspec.convert(values, Config)
    except msgspec.ValidationError as error:
        raise bad(READ, "values of the documented types", str(error), "Correct it.") from None
    return _checked(_absolute(_referring(config, raw), base))


def _referring(config: Config, raw: dict[str, Any]) -> Config:
    """The embedder's address is kept in the store, and so stays as it is written, as the reranker's does: they are
    resolved where they are opened."""
    section = raw.get("models")
    if not isinstance(section, dict):
        return config
    written = {n: str(section[n]) for n in ("embedding", "reranker") if n in section}  # pyright: ignore[reportUnknownArgumentType]
    return msgspec.structs.replace(config, models=msgspec.structs.replace(config.models, **written))


def _absolute(config: Config, base: Path) -> Config:
    """Folders relative to the file's own place."""
    main = msgspec.structs.replace(config.headrace, data=str((base / config.headrace.data).resolve()))
    sources = [msgspec.structs.replace(s, url=_absolute_url(s.url, base)) for s in config.sources]
    return msgspec.structs.replace(config, headrace=main, sources=sources)


def _absolute_url(url: str, base: Path) -> str:
    if not url.startswith("file://"):
        return url
    return "file://" + str((base / url.removeprefix("file://")).resolve())


def _checked(config: Config) -> Config:
    duration_us(config.headrace.history)
    duration_us(config.headrace.retention)
    duration_us(config.documents.timeout)
    check_identity(config.server)
    check_expires(config.uploads.expires)
    names = [s.name for s in config.sources]
    for name in names:
        if names.count(name) > 1:
            raise bad(READ, "a name of its own for each source", f"`{name}` twice", "Rename one.")
    tables = [(f"knowledge.rows.{e.table}", e.table) for e in config.knowledge.rows]
    tables += [(f"profiles.records.{e.table}", e.table) for e in config.profiles.records]
    tables += [(f"profiles.facts.{e.table}", e.table) for e in config.profiles.facts]
    for where, table in tables:
        source = table.partition(".")[0]
        if source not in names:
            raise bad(READ, "a table of a configured source", where, hint(source, names, "Sources"))
    for name, told in (("classify", config.knowledge.classify), ("summarise", config.knowledge.summarise)):
        if told is not None:
            check_told(f"knowledge.{name}", told, names, config.models.generation)
    return config
