"""`file:///srv/policies` and `file://./policies`: which folder an address names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from headrace.errors import ConfigError

_SCHEME = "file://"


def folder_of(url: str) -> Path:
    """The absolute path of the folder; a relative one counts from the working directory.

    `%20` and the like are decoded; `?` and `#` stand for themselves. The folder need not exist. Raises ConfigError.
    """
    path = unquote(url.removeprefix(_SCHEME)).removeprefix("localhost/") if url.startswith(_SCHEME) else ""
    if url.startswith(_SCHEME + "localhost/"):
        path = "/" + path
    if not path.startswith(("/", "./", "../")) and path not in (".", ".."):
        raise ConfigError(
            step="read a source's url",
            expected="file:///an/absolute/folder or file://./a/relative/one",
            got=repr(url),
            remedy="Write three slashes before an absolute path, or ./ before a relative one.",
        )
    return Path(path).absolute()
