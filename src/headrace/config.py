"""Settings: `headrace.toml`, overridden by `HEADRACE_SECTION__KEY` in the environment.

Unknown keys are errors that suggest the near name; secrets stand in the file only by reference (`${env:NAME}`,
`${file:/path}`).
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import Meta, Struct, field

from headrace.access import EVERYBODY
from headrace.errors import ConfigError

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,40}$", description="lower-case letters, digits and _")]


class Main(Struct, frozen=True, forbid_unknown_fields=True):
    """`[headrace]`: where things live."""

    store: Annotated[str, Meta(description="`embedded:` or `postgresql://…` (15 or newer, with pgvector)")] = (
        "embedded:"
    )
    log: Annotated[
        str,
        Meta(
            description="`embedded:`, in the store; `embedded:?partitions=4` for more partitions; "
            "`memory:`, gone with the process, for tests and for trying out with an empty store"
        ),
    ] = "embedded:"
    data: Annotated[str, Meta(description="folder for everything that Headrace keeps on this machine")] = "./.headrace"
    history: Annotated[str, Meta(description="how long closed versions are kept, such as `12h`, `7d`")] = "7d"
    retention: Annotated[str, Meta(description="how long the log is kept, such as `30d`")] = "30d"


class Server(Struct, frozen=True, forbid_unknown_fields=True):
    """`[server]`: where it answers."""

    host: Annotated[str, Meta(description="address to bind; loopback unless you know better")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; 0 picks a free one")] = 8420
    hosts: Annotated[list[str], Meta(description="further names under which browsers may reach it")] = field(
        default_factory=list[str]
    )
    max_body: Annotated[int, Meta(ge=1024, description="largest request body, bytes")] = 1_048_576
    max_stream: Annotated[
        int,
        Meta(ge=1024, description="largest stream of pushed lines or form of uploads, bytes; a line may have max_body"),
    ] = 1_073_741_824
    identity: Annotated[
        Literal["none", "headers"],
        Meta(
            description="who reads: `none`, everybody is the operator of this Headrace; `headers`, whom a gateway in "
            "front names, which shows `identity_secret`"
        ),
    ] = "none"
    identity_secret: Annotated[
        str | None,
        Meta(
            description="for `headers`: `${env:NAME}` or `${file:/path}`, 16 characters or more; the gateway sends it "
            "as `X-Headrace-Secret`"
        ),
    ] = None
    user_header: Annotated[str, Meta(description="header with the user's name")] = "X-Headrace-User"
    groups_header: Annotated[str, Meta(description="header with the user's groups, between commas")] = (
        "X-Headrace-Groups"
    )
    user_type: Annotated[
        str | None,
        Meta(description="identifier type that users' names are of, such as `email`: questions then know the profile"),
    ] = None
    operators: Annotated[
        list[str], Meta(description="for `headers`: groups that see everything, change documents and see the status")
    ] = field(default_factory=lambda: ["headrace-operators"])


class Models(Struct, frozen=True, forbid_unknown_fields=True):
    """`[models]`: what embeds, what reranks and what writes."""

    embedding: Annotated[
        str,
        Meta(
            description="`onnx:all-MiniLM-L6-v2`, `onnx:/folder`, `openai+http://host/v1?model=NAME`, "
            "`bedrock://region/model` or `sagemaker://region/endpoint`: see [models](models.md)"
        ),
    ] = "onnx:all-MiniLM-L6-v2"
    reranker: Annotated[
        str | None,
        Meta(
            description="`onnx:/folder`, `https://host/v1/rerank?model=NAME`, `tei+http://host` or "
            "`bedrock://region/model`: see [models](models.md#a-reranker); without it passages are not reranked"
        ),
    ] = None
    rerank: Annotated[
        bool, Meta(description="whether it is asked for searches and questions that do not say so themselves")
    ] = True
    rerank_candidates: Annotated[
        int, Meta(ge=1, le=200, description="how many of the passages that are found are reranked, the best ones")
    ] = 30
    rerank_ms: Annotated[
        int, Meta(ge=1, le=60_000, description="how long a search waits for that; then they stay as they were found")
    ] = 2000
    generation: Annotated[
        str | None, Meta(description="`openai+http://host/v1?model=NAME`; without it answers are extractive")
    ] = None


class Redact(Struct, frozen=True, forbid_unknown_fields=True):
    """`[sources.redact]`: what of its texts is hidden before they become knowledge; without this table, nothing."""

    default: Annotated[
        Literal["mask", "hash", "keep"], Meta(description="what happens with each kind that is not named in `kinds`")
    ] = "mask"
    kinds: Annotated[
        dict[str, Literal["mask", "hash", "keep"]],
        Meta(description="kind = `mask` (`[EMAIL]`), `hash` (`[EMAIL:9f3c…]`, equal for equal values) or `keep`"),
    ] = field(default_factory=dict[str, Literal["mask", "hash", "keep"]])
    key: Annotated[
        str | None, Meta(description="for `hash`: `${env:NAME}` or `${file:/path}`, 16 characters or more")
    ] = None
    detectors: Annotated[list[str], Meta(description="`rules:`, `presidio:?model=…`, `comprehend:?region=…`")] = field(
        default_factory=lambda: ["rules:"]
    )


class AccessEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[sources.access]`: who may read its documents; without this table everybody."""

    owner: Annotated[str | None, Meta(description="a user")] = None
    groups: Annotated[list[str], Meta(description="groups, any of which is enough; `*` is everybody")] = field(
        default_factory=list[str]
    )


class AccessRuleEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[[sources.access_rules]]`: others for some of its documents; the first that fits counts, and `access` then does
    not."""

    match: Annotated[str, Meta(description="glob of documents' names in the source, such as `hr/**`")]
    owner: Annotated[str | None, Meta(description="a user")] = None
    groups: Annotated[list[str], Meta(description="groups, any of which is enough; `*` is everybody")] = field(
        default_factory=list[str]
    )


class SourceEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[[sources]]`: one outside system."""

    name: Name
    url: Annotated[str, Meta(description="`postgresql://…`, `mysql://…`, `file://./folder`, `push:` or `upload:`")]
    tables: Annotated[
        list[str],
        Meta(
            description="for databases: patterns of `schema.table` (MySQL: `database.table`); one without a point is "
            "of `public`, or of the database in a MySQL URL"
        ),
    ] = field(default_factory=lambda: ["*"])
    include: Annotated[list[str], Meta(description="for folders: globs of what to read; empty: everything")] = field(
        default_factory=list[str]
    )
    exclude: Annotated[list[str], Meta(description="for folders: globs of what to leave out")] = field(
        default_factory=list[str]
    )
    max_bytes: Annotated[int, Meta(ge=1, description="largest document, bytes")] = 33_554_432
    publication: Annotated[
        str | None, Meta(description="for PostgreSQL: a publication that is there, used as it is and never altered")
    ] = None
    slot: Annotated[str | None, Meta(description="for PostgreSQL: a replication slot that is there")] = None
    on_lag: Annotated[
        str,
        Meta(description="for PostgreSQL: `warn`, `pause`, `stop` or `resnapshot` beyond `max_retained`"),
    ] = "warn"
    max_retained: Annotated[
        str, Meta(description="for PostgreSQL: how much WAL may be kept for us, such as `10GB`")
    ] = "10GB"

    redact: Redact | None = None
    access: AccessEntry | None = None
    access_rules: list[AccessRuleEntry] = field(default_factory=list[AccessRuleEntry])

    @property
    def options(self) -> dict[str, str]:
        """What only some kinds of source understand."""
        given = {"publication": self.publication, "slot": self.slot}
        given |= {"on_lag": self.on_lag, "max_retained": self.max_retained}
        return {name: value for name, value in given.items() if value is not None}


class Documents(Struct, frozen=True, forbid_unknown_fields=True):
    """`[documents]`: how files are read, and what one of them may cost."""

    workers: Annotated[
        int, Meta(ge=1, le=64, description="processes that read formats other than text, at most; none while idle")
    ] = 2
    timeout: Annotated[
        str,
        Meta(description="processor time from one page to the next, such as `60s`; a file may take 30 times it"),
    ] = "60s"
    memory: Annotated[int, Meta(ge=134_217_728, description="memory of such a process, bytes")] = 2_147_483_648
    pages: Annotated[int, Meta(ge=1, description="pages, slides and sheets of a file")] = 2000
    characters: Annotated[int, Meta(ge=1, description="characters of a file's text")] = 10_000_000
    members: Annotated[int, Meta(ge=1, description="files packed in a file")] = 1000
    unpacked: Annotated[int, Meta(ge=1, description="bytes that they have together")] = 536_870_912
    ratio: Annotated[int, Meta(ge=1, description="how much larger unpacked than packed one of more than 16 MB is")] = (
        200
    )
    depth: Annotated[int, Meta(ge=0, description="how deep files are packed in files")] = 3
    pixels: Annotated[int, Meta(ge=1, description="pixels of a picture")] = 60_000_000
    ocr: Annotated[bool, Meta(description="whether pictures and scanned pages are read; needs `headrace[ocr]`")] = True


class UploadSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[uploads]`: large documents past Headrace, by way of an object store."""

    object_store: Annotated[
        str | None,
        Meta(
            description="`s3://bucket/prefix?region=…`, see [documents](documents.md#large-files-by-an-object-store); "
            "without it everything is sent to Headrace"
        ),
    ] = None
    min_bytes: Annotated[
        int, Meta(ge=0, description="files of so many bytes and more the page and `headrace upload` put there")
    ] = 16_777_216
    expires: Annotated[
        str, Meta(description="how long an address to put a file to is valid, such as `1h`; at most `7d`")
    ] = "1h"
    keep_objects: Annotated[bool, Meta(description="whether objects stay there once they are fetched")] = False


class RowEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[[knowledge.rows]]`: a table whose rows are documents too."""

    table: Annotated[str, Meta(description="`source.schema.table`")]
    text: Annotated[str, Meta(description="Jinja2 template over the row's columns")]
    owner: Annotated[str | None, Meta(description="column with the user that a row is for")] = None
    groups: Annotated[
        str | None,
        Meta(description="column with the groups that it is for: an array, a JSON array or a list with commas"),
    ] = None
    metadata: Annotated[
        list[str], Meta(description="columns that are its metadata: shown, and what searches can be limited by")
    ] = field(default_factory=list[str])


Sources = Annotated[
    list[str],
    Meta(description="names of sources; none: all of folders and uploads. Rows that are documents only where named"),
]
Generation = Annotated[
    str | None, Meta(description="address of a language model; without it that of `[models] generation`")
]
Parallel = Annotated[int, Meta(ge=1, le=64, description="requests to the model at a time")]
Characters = Annotated[
    int, Meta(ge=100, le=1_000_000, description="characters of a document's beginning that the model reads")
]
MaxTokens = Annotated[int, Meta(ge=1, description="longest answer, tokens, with what the model thinks")]


class Classify(Struct, frozen=True, forbid_unknown_fields=True):
    """`[knowledge.classify]`: a language model gives documents labels; without this table, none."""

    labels: Annotated[dict[str, str], Meta(description="name = what it means")]
    many: Annotated[bool, Meta(description="whether a document gets all labels that fit, or the best one")] = False
    sources: Sources = field(default_factory=list[str])
    model: Generation = None
    parallel: Parallel = 2
    characters: Characters = 12_000
    max_tokens: MaxTokens = 200


class Summarise(Struct, frozen=True, forbid_unknown_fields=True):
    """`[knowledge.summarise]`: a language model summarises documents; without this table, none."""

    sources: Sources = field(default_factory=list[str])
    model: Generation = None
    parallel: Parallel = 2
    max_words: Annotated[int, Meta(ge=10, le=2000, description="words of a summary at most")] = 100
    characters: Characters = 12_000
    max_tokens: MaxTokens = 600


class Knowledge(Struct, frozen=True, forbid_unknown_fields=True):
    """`[knowledge]`."""

    chunk_tokens: Annotated[
        int, Meta(ge=16, le=8192, description="tokens of a chunk at most; of longer ones a model reads its own most")
    ] = 200
    rows: list[RowEntry] = field(default_factory=list[RowEntry])
    classify: Classify | None = None
    summarise: Summarise | None = None


class RecordEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[[profiles.records]]`: a table whose rows describe somebody."""

    table: Annotated[str, Meta(description="`source.schema.table`")]
    identifiers: Annotated[dict[str, str], Meta(description="identifier type = column")]
    fields: Annotated[dict[str, str], Meta(description="field = column")] = field(default_factory=dict[str, str])


class FactEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[[profiles.facts]]`: a table whose rows belong to somebody."""

    table: Annotated[str, Meta(description="`source.schema.table`")]
    belongs_to: Annotated[dict[str, str], Meta(description="identifier type = column")]
    order_by: Annotated[str | None, Meta(description="column by which the newest are kept")] = None
    keep: Annotated[int, Meta(ge=1, description="how many of the newest a profile shows")] = 50
    aggregates: Annotated[
        dict[str, str], Meta(description="name = `count(*)`, `sum(column)`, `min`, `max`, `avg`; over all of them")
    ] = field(default_factory=dict[str, str])
    name: Annotated[str | None, Meta(description="what one is called, such as `flight`")] = None
    time: Annotated[str | None, Meta(description="column that says when it happens, for `next` and `last`")] = None
    text: Annotated[str | None, Meta(description="Jinja2 template: how one reads as a sentence")] = None


class Profiles(Struct, frozen=True, forbid_unknown_fields=True):
    """`[profiles]`."""

    records: list[RecordEntry] = field(default_factory=list[RecordEntry])
    facts: list[FactEntry] = field(default_factory=list[FactEntry])


class AnswerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[answer]`."""

    now: Annotated[str | None, Meta(description="a fixed time for `today` and `next`, for demos and replays")] = None
    passages: Annotated[int, Meta(ge=1, le=100, description="how many chunks an answer is made from")] = 10
    wait_ms: Annotated[int, Meta(ge=0, description="how long `after` waits when a request does not say")] = 2000
    max_tokens: Annotated[int, Meta(ge=1, description="longest answer of a language model, tokens")] = 700


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
        raise _bad("read the configuration", f"a file at {path}", got, remedy) from None
    except UnicodeDecodeError as error:
        got = f"another byte at offset {error.start}"
        raise _bad("read the configuration", f"UTF-8 in {path}", got, "Save the file as UTF-8.") from None
    return parse(text, path.parent.resolve(), os.environ if environ is None else environ)


def parse(text: str, base: Path, environ: Mapping[str, str]) -> Config:
    """A configuration's text to settings. Raises ConfigError."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _bad("read the configuration", "TOML", str(error), "Correct that line.") from None
    _override(raw, environ)
    _unknown(raw, Config, "")
    _no_secrets(raw)
    resolved = _resolve(raw, environ)
    try:
        config = msgspec.convert(resolved, Config)
    except msgspec.ValidationError as error:
        raise _bad("read the configuration", "values of the documented types", str(error), "Correct it.") from None
    return _checked(_absolute(_referring(config, raw), base))


def with_secrets(address: str) -> str:
    """An address with its references replaced by what they stand for. Raises ConfigError."""
    return str(_resolve(address, os.environ))


def without_secrets(address: str) -> str:
    """An address as it may be shown and kept: a key that is not a reference is left out."""
    return re.sub(r"(?<=[?&])key=(?!\$\{)[^&#]*&?", "", address).rstrip("?&")


def _referring(config: Config, raw: dict[str, Any]) -> Config:
    """The embedder's address is kept in the store, and so stays as it is written, as the reranker's does: they are
    resolved where they are opened."""
    section = raw.get("models")
    if not isinstance(section, dict):
        return config
    written = {n: str(section[n]) for n in ("embedding", "reranker") if n in section}  # pyright: ignore[reportUnknownArgumentType]
    return msgspec.structs.replace(config, models=msgspec.structs.replace(config.models, **written))


def duration_us(text: str) -> int:
    """`7d`, `12h`, `30m`, `45s` to microseconds. Raises ConfigError."""
    match = re.fullmatch(r"([0-9]+)\s*([smhd])", text.strip())
    if match is None:
        raise _bad("read a duration", "a number with s, m, h or d, such as 7d", repr(text), "Correct it.")
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]] * 1_000_000


def redacted(url: str) -> str:
    """An address without password or query values, for logs, status and errors."""
    scheme, _, _ = url.partition("://")
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{scheme}://…"
    if scheme != "file" and "@" in parts.path + parts.query + parts.fragment:
        return f"{scheme}://…"  # a password with an unescaped / ? or #: no part of it can be told from the rest
    host = parts.netloc.rpartition("@")[2]
    user = parts.username or ""
    query = "&".join(p.partition("=")[0] + "=…" for p in parts.query.split("&") if p)
    return urlunsplit((parts.scheme, f"{user}@{host}" if user else host, parts.path, query, ""))


def _override(raw: dict[str, Any], environ: Mapping[str, str]) -> None:
    """`HEADRACE_SERVER__PORT=9000` sets `[server] port`; lists of tables cannot be set so."""
    for name, value in environ.items():
        section, _, key = name.removeprefix("HEADRACE_").lower().partition("__")
        if name.startswith("HEADRACE_") and key and section in {"headrace", "server", "models", "answer"}:
            settings = raw.setdefault(section, {})
            if isinstance(settings, dict):  # otherwise the file's own mistake is told later
                settings[key] = int(value) if _is_number(section, key) and value.isdecimal() else value


def _is_number(section: str, key: str) -> bool:
    kinds = {f.name: f.type for f in msgspec.structs.fields(Config)}
    return any(f.name == key and int in (f.type, *get_args(f.type)) for f in msgspec.structs.fields(kinds[section]))


def _unknown(raw: object, kind: Any, where: str) -> None:
    """Raises for a key that is not a setting, naming the nearest one."""
    if isinstance(raw, list) and get_origin(kind) is list:
        for item in raw:  # pyright: ignore[reportUnknownVariableType]
            _unknown(item, get_args(kind)[0], where)  # pyright: ignore[reportUnknownArgumentType]
    if not isinstance(raw, dict) or not (isinstance(kind, type) and issubclass(kind, Struct)):
        return
    fields = {f.name: f.type for f in msgspec.structs.fields(kind)}
    for key, value in raw.items():  # pyright: ignore[reportUnknownVariableType]
        name = f"{where}{key}"
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)  # pyright: ignore[reportUnknownArgumentType]
            hint = f"Did you mean `{near[0]}`?" if near else "Known here: " + ", ".join(fields) + "."
            raise _bad("read the configuration", "a known setting", f"`{name}`", hint)
        _unknown(value, _plain(fields[key]), f"{name}.")  # pyright: ignore[reportUnknownArgumentType]


def _plain(kind: Any) -> Any:
    """A table that may be missing is checked as one that is there."""
    if isinstance(kind, UnionType):
        return next((k for k in get_args(kind) if isinstance(k, type) and issubclass(k, Struct)), kind)
    return kind


_ADDRESSES = ("url", "store", "log", "embedding", "reranker", "generation", "model", "object_store")
_SECRETS = re.compile(
    r"^[a-z][a-z0-9+.-]*://[^/?#@:]*:(?P<word>[^@]+)@|[?&](?:password|sslpassword|key|token|secret)=(?P<value>[^&#]+)"
)


def _no_secrets(raw: object, where: str = "") -> None:
    """Raises for an address with a secret in it: the file is read, shown and shared by people."""
    if isinstance(raw, dict):
        for key, value in raw.items():  # pyright: ignore[reportUnknownVariableType]
            _no_secrets(value, f"{where}.{key}" if where else str(key))  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(raw, list):
        for value in raw:  # pyright: ignore[reportUnknownVariableType]
            _no_secrets(value, where)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(raw, str) and where.endswith(("redact.key", "identity_secret")) and not _REFERENCE.fullmatch(raw):
        remedy = "Write ${env:NAME} or ${file:/path} in its place."
        raise _bad("read the configuration", "secrets by reference", f"one written out in `{where}`", remedy)
    elif isinstance(raw, str) and where.rpartition(".")[2] in _ADDRESSES:
        for found in _SECRETS.finditer(raw):
            if "${" not in (found["word"] or found["value"]):
                raise _bad(
                    "read the configuration",
                    "secrets by reference",
                    f"one written out in `{where}`",
                    "Write ${env:NAME} or ${file:/path} in its place.",
                )


_REFERENCE = re.compile(r"\$\{(\w+):([^}]*)\}")


def _resolve(value: Any, environ: Mapping[str, str]) -> Any:
    """Replaces references to secrets in all texts."""
    if isinstance(value, dict):
        return {k: _resolve(v, environ) for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_resolve(v, environ) for v in value]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(value, str):
        return value
    readers: dict[str, Callable[[str], str]] = {"env": lambda n: _from_env(n, environ), "file": _from_file}

    def read(match: re.Match[str]) -> str:
        if match[1] not in readers:
            raise _bad("read a secret", "${env:NAME} or ${file:/path}", match[0], "Use one of these.")
        return readers[match[1]](match[2])

    return _REFERENCE.sub(read, value)


def _from_env(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise _bad("read a secret", f"the environment variable {name}", "none of that name", f"Set {name}.")
    return environ[name]


def _from_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise _bad("read a secret", f"a readable file {path}", error.strerror or "", "Create it.") from None


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
    _check_identity(config.server)
    _check_expires(config.uploads.expires)
    names = [s.name for s in config.sources]
    for name in names:
        if names.count(name) > 1:
            raise _bad("read the configuration", "a name of its own for each source", f"`{name}` twice", "Rename one.")
    tables = [(f"knowledge.rows.{e.table}", e.table) for e in config.knowledge.rows]
    tables += [(f"profiles.records.{e.table}", e.table) for e in config.profiles.records]
    tables += [(f"profiles.facts.{e.table}", e.table) for e in config.profiles.facts]
    for where, table in tables:
        if table.partition(".")[0] not in names:
            near = difflib.get_close_matches(table.partition(".")[0], names, n=1)
            hint = f"Did you mean `{near[0]}`?" if near else "Sources: " + (", ".join(names) or "none") + "."
            raise _bad("read the configuration", "a table of a configured source", where, hint)
    for name, told in (("classify", config.knowledge.classify), ("summarise", config.knowledge.summarise)):
        if told is not None:
            _check_told(f"knowledge.{name}", told, names, config.models.generation)
    return config


def _check_told(where: str, told: Classify | Summarise, names: list[str], generation: str | None) -> None:
    step = "read the configuration"
    if not (told.model or generation):
        remedy = "Set [models] generation, or `model` in this table, to an address such as openai+http://…?model=NAME."
        raise _bad(step, f"a language model for [{where}]", "none", remedy)
    for name in told.sources:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"Did you mean `{near[0]}`?" if near else "Sources: " + (", ".join(names) or "none") + "."
            raise _bad(step, f"names of configured sources in [{where}]", name, hint)
    if isinstance(told, Classify):
        _check_labels(where, told)


def _check_labels(where: str, told: Classify) -> None:
    step, labels = "read the configuration", list(told.labels)
    if len(labels) < (1 if told.many else 2):
        least = "one label or more" if told.many else "two labels or more, of which one is given"
        raise _bad(step, f"{least} in [{where}]", str(len(labels)), 'Write labels = { name = "what it means" }.')
    for label in labels:
        if not re.fullmatch(r"[^\s,;\[\]\"'`*.:-][^,;\n\[\]\"`*]{0,59}", label) or label != label.strip():
            expected = f"names of up to 60 characters without commas, quotes and brackets in [{where}]"
            raise _bad(step, expected, repr(label), "Rename the label.")
        if (told.many and label.casefold() == "none") or [x.casefold() for x in labels].count(label.casefold()) > 1:
            raise _bad(step, f"labels that differ, and none named `none`, in [{where}]", repr(label), "Rename it.")


LONGEST_SIGNED_S = 7 * 86_400
"""So long an address that is signed with Signature Version 4 can be valid."""


def _check_expires(text: str) -> None:
    if not 0 < duration_us(text) <= LONGEST_SIGNED_S * 1_000_000:
        raise _bad("read [uploads] expires", "a duration of at most 7d", repr(text), "Correct it.")


LEAST_SECRET = 16


def _check_identity(server: Server) -> None:
    if server.identity == "none":
        return
    step = "read [server] identity"
    if len(server.identity_secret or "") < LEAST_SECRET:
        remedy = 'Write identity_secret = "${env:HEADRACE_SECRET}", and let the gateway send the same.'
        raise _bad(step, f"an identity_secret of {LEAST_SECRET} characters or more", "a shorter one or none", remedy)
    if not (server.identity_secret or "").isascii():
        raise _bad(step, "an identity_secret of ASCII characters, as headers can have", "others", "Choose another.")
    names = [server.user_header.lower(), server.groups_header.lower(), "x-headrace-secret"]
    if len({*names}) < len(names) or not all(re.fullmatch(r"[a-z0-9-]+", n) for n in names):
        raise _bad(step, "names of two headers for user and groups", ", ".join(names[:2]), "Correct them.")
    if EVERYBODY in server.operators:
        raise _bad(step, "groups of operators", "`*`, which is everybody", 'Name a group, or write identity = "none".')


def _bad(step: str, expected: str, got: str, remedy: str) -> ConfigError:
    return ConfigError(step=step, expected=expected, got=got, remedy=remedy)
