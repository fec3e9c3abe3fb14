"""Who may read a document, and who reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from headrace.errors import ConfigError

EVERYBODY = "*"
"""In the place of a group: everybody, also those who do not say who they are."""
LONGEST = 400
"""Characters of an owner's or a group's name."""


class Readers(msgspec.Struct, frozen=True, gc=False):
    """Whom a document is for: its owner, and everybody in one of the groups. Without either it is for nobody."""

    owner: str | None = None
    groups: tuple[str, ...] = ()

    def let_in(self, viewer: Viewer) -> bool:
        if self.owner is not None and self.owner == viewer.user:
            return True
        return not viewer.named.isdisjoint(self.groups)


NOBODY = Readers()


def readers(owner: str | None, groups: Iterable[str] | None) -> Readers | None:
    """Of names as somebody wrote them; None where neither is said. Raises ValueError with what is wrong."""
    if owner is None and groups is None:
        return None
    return Readers(named(owner or ""), tuple(sorted({g for text in groups or () if (g := named(text))})))


def named(text: str) -> str | None:
    """A name without what stands around it; None for an empty one. Raises ValueError."""
    name = text.strip()
    if len(name) > LONGEST:
        raise ValueError(f"a name of {len(name)} characters, more than {LONGEST}")
    if _CONTROL.search(name):
        raise ValueError("a name with control characters")
    return name or None


_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Access(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What is said of a document's readers: by its source's configuration, and by itself. Each that says something must
    let a reader in; what says nothing is open to everybody."""

    source: Readers | None = None
    own: Readers | None = None

    def lets_in(self, viewer: Viewer) -> bool:
        return viewer.operator or all(said is None or said.let_in(viewer) for said in (self.source, self.own))

    def to_object(self) -> dict[str, Any] | None:
        """As it is stored: None where nothing is said."""
        told = {"source": self.source, "own": self.own}
        return {name: msgspec.to_builtins(said) for name, said in told.items() if said is not None} or None


OPEN = Access()


def access_of(stored: Any) -> Access:
    """The inverse of `Access.to_object`."""
    return msgspec.convert(stored, Access) if stored else OPEN


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who reads, as whoever is trusted with it says. An operator sees everything."""

    user: str | None = None
    groups: frozenset[str] = frozenset()
    operator: bool = False

    @property
    def named(self) -> frozenset[str]:
        """Every group that lets them in."""
        return self.groups | {EVERYBODY}


ANYBODY = Viewer()
"""Who does not say who they are."""
OPERATOR = Viewer(operator=True)


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may read a source's documents: the readers of the first glob that fits a document's name there, or else those
    of all of them."""

    readers: Readers | None = None
    globs: Sequence[tuple[str, Readers]] = ()

    def of(self, name: str) -> Readers | None:
        return next((readers for glob, readers in self.globs if _pattern(glob).fullmatch(name)), self.readers)

    def told(self) -> str:
        """Equal for rules that say the same."""
        return msgspec.json.encode([self.readers, list(self.globs)]).decode()


NO_RULES = Rules()


@dataclass(frozen=True, slots=True)
class SourceRules:
    """By source."""

    of_source: Mapping[str, Rules] = field(default_factory=dict[str, Rules])

    def of(self, document: str) -> Readers | None:
        """Of a document by its id, which begins with its source."""
        source, _, name = document.partition("/")
        return self.of_source.get(source, NO_RULES).of(name)


def checked_glob(glob: str) -> str:
    """Raises ConfigError for one that can fit nothing."""
    parts = _parts(glob)
    if not parts or ".." in parts:
        raise ConfigError(
            step="read an access rule",
            expected="a glob of documents' names in their source, such as hr/** or *.secret.md",
            got=repr(glob),
            remedy="Leave out empty globs and those with `..`.",
        )
    return glob


@lru_cache(maxsize=1000)
def _pattern(glob: str) -> re.Pattern[str]:
    """As those of `include`: `*`, `?` and sets stay within a part, `**` is any number of parts, a glob without `/` fits
    at every depth. What fits a folder fits everything below it."""
    parts = _parts(glob)
    if "/" not in glob.rstrip("/"):
        parts = ("**", *parts)
    made = ["(?:[^/]+/)*" if part == "**" else _part(part) + "/" for part in parts]
    made[-1] = ".+" if parts[-1] == "**" else made[-1].removesuffix("/") + "(?:/.*)?"
    return re.compile("".join(made), re.DOTALL)


def _parts(glob: str) -> tuple[str, ...]:
    return tuple(part for part in glob.split("/") if part and part != ".")


_TOKENS = re.compile(r"\*+|\?|\[(?P<negated>!?)(?P<set>\]?[^\]]*)\]|(?P<text>.)", re.DOTALL)


def _part(glob: str) -> str:
    return "".join(_token(match) for match in _TOKENS.finditer(glob))


def _token(match: re.Match[str]) -> str:
    if match["text"] is not None:
        return re.escape(match["text"])
    if match["set"] is not None:
        inside = re.sub(r"([\\\[\]^&~|])", r"\\\1", match["set"])
        return f"[{'^/' if match['negated'] else ''}{inside}]"
    return "[^/]" if match[0] == "?" else "[^/]*"
