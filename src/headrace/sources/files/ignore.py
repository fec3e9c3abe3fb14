"""Which paths of a folder are documents: include and exclude globs, hidden and temporary files left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from headrace.errors import ConfigError

Parts = tuple[str, ...]

# What editors, downloads and office programs leave beside a document for a while; hidden files are told by their dot.
_TEMPORARY = re.compile(r".*~|#.*#|4913|~\$.*|.*\.(?:sw[a-z]|tmp|temp|part|crdownload)", re.IGNORECASE | re.DOTALL)


def is_temporary(name: str) -> bool:
    """Whether a file's name is hidden, or one that editors and downloads use for unfinished work."""
    return name.startswith(".") or _TEMPORARY.fullmatch(name) is not None


class Ignore:
    """Decides by relative path (`/` between its parts) what is read.

    Globs: `*` and `?` stay within one part of the path, `[abc]` and `[!abc]` are sets, `**` is any number of parts.
    A glob without `/` fits at every depth; one that starts with `/` or has a `/` inside fits from the root. `exclude`
    wins over `include`, and an excluded folder takes everything below it along. Hidden and temporary names are left
    out unless an `include` glob spells them out (`.github/**`, `*.tmp`): wildcards do not reach them.
    Raises ConfigError for a glob that can fit nothing.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = tuple(_parse(glob, "include") for glob in include)
        self._exclude = tuple(_parse(glob, "exclude") for glob in exclude)

    def takes_file(self, path: str) -> bool:
        """Whether a regular file at `path` is a document."""
        parts = tuple(path.split("/"))
        if not self._include:
            if is_temporary(parts[-1]) or any(part.startswith(".") for part in parts):
                return False
        elif not any(_fits(glob, parts, guarded=True) for glob in self._include):
            return False
        return not self._excluded(parts)

    def takes_folder(self, path: str) -> bool:
        """Whether anything below the folder `path` may be a document; the root is the empty path."""
        if not path:
            return True
        parts = tuple(path.split("/"))
        if any(part.startswith(".") for part in parts) and not any(_leads_to(g, parts) for g in self._include):
            return False
        return not self._excluded(parts)

    def _excluded(self, parts: Parts) -> bool:
        if not self._exclude:
            return False
        prefixes = [parts[:n] for n in range(1, len(parts) + 1)]
        return any(_fits(glob, prefix, guarded=False) for glob in self._exclude for prefix in prefixes)


def _parse(glob: str, setting: str) -> Parts:
    anchored = "/" in glob.rstrip("/")
    parts = tuple(part for part in glob.split("/") if part and part != ".")
    if not parts or ".." in parts:
        raise ConfigError(
            step=f"read a source's {setting}",
            expected="globs relative to the folder, such as *.md or guides/**",
            got=repr(glob),
            remedy="Leave out empty globs and those with `..`; nothing outside of the folder is read.",
        )
    if glob.endswith("/"):
        parts = (*parts, "**")
    return parts if anchored else ("**", *parts)


def _fits(glob: Parts, parts: Parts, *, guarded: bool) -> bool:
    """Whether the whole path fits. `guarded`: hidden and temporary names must be spelled out by the glob."""
    if not glob:
        return not parts
    head, rest = glob[0], glob[1:]
    if head == "**" and not rest:  # everything below, not the folder itself
        return bool(parts) and not (guarded and any(_special(parts[n:]) for n in range(len(parts))))
    if head == "**":
        if _fits(rest, parts, guarded=guarded):
            return True
        return bool(parts) and not (guarded and _special(parts)) and _fits(glob, parts[1:], guarded=guarded)
    return bool(parts) and _part_fits(head, parts, guarded) and _fits(rest, parts[1:], guarded=guarded)


def _leads_to(glob: Parts, parts: Parts) -> bool:
    """Whether something below the folder `parts` could fit the glob."""
    if not parts:
        return True
    if not glob:
        return False
    head, rest = glob[0], glob[1:]
    if head == "**":
        if _leads_to(rest, parts):
            return True
        return not parts[0].startswith(".") and _leads_to(glob, parts[1:])
    spelled = head.startswith(".") or not parts[0].startswith(".")
    return spelled and _component(head).fullmatch(parts[0]) is not None and _leads_to(rest, parts[1:])


def _special(parts: Parts) -> bool:
    """Whether the first part may only be reached by a glob that spells it out."""
    return is_temporary(parts[0]) if len(parts) == 1 else parts[0].startswith(".")


def _part_fits(glob: str, parts: Parts, guarded: bool) -> bool:
    if guarded and _special(parts) and not is_temporary(glob):
        return False
    return _component(glob).fullmatch(parts[0]) is not None


@lru_cache(maxsize=1024)
def _component(glob: str) -> re.Pattern[str]:
    """One part of a glob as a regular expression; a `[` that is never closed stands for itself."""
    out: list[str] = []
    i = 0
    while i < len(glob):
        char = glob[i]
        i += 1
        if char == "*":
            out.append(".*")
        elif char == "?":
            out.append(".")
        elif char == "[" and (end := glob.find("]", i + 2 if glob[i : i + 1] in ("!", "^") else i + 1)) > 0:
            out.append(_set(glob[i:end]))
            i = end + 1
        else:
            out.append(re.escape(char))
    return re.compile("".join(out), re.DOTALL)


def _set(body: str) -> str:
    negated = body[:1] in ("!", "^")
    chars = body[1:] if negated else body
    escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", chars)
    try:
        re.compile(f"[{escaped}]")
    except re.error:  # a range that runs backwards fits nothing
        return "(?!)"
    return f"[{'^' if negated else ''}{escaped}]"
