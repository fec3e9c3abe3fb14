"""`[[sources]]`: what is read, what of it is hidden, and who may read it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,40}$", description="lower-case letters, digits and _")]


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
