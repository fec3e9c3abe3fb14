"""Secrets stand in the settings by reference only, `${env:NAME}` or `${file:/path}`: they are resolved here."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headrace.config.problems import READ, bad

_ADDRESSES = ("url", "store", "log", "embedding", "reranker", "generation", "model", "object_store")
_SECRETS = re.compile(
    r"^[a-z][a-z0-9+.-]*://[^/?#@:]*:(?P<word>[^@]+)@|[?&](?:password|sslpassword|key|token|secret)=(?P<value>[^&#]+)"
)
_REFERENCE = re.compile(r"\$\{(\w+):([^}]*)\}")


def with_secrets(address: str) -> str:
    """An address with its references replaced by what they stand for. Raises ConfigError."""
    return str(resolved(address, os.environ))


def without_secrets(address: str) -> str:
    """An address as it may be shown and kept: a key that is not a reference is left out."""
    return re.sub(r"(?<=[?&])key=(?!\$\{)[^&#]*&?", "", address).rstrip("?&")


def resolved(value: Any, environ: Mapping[str, str]) -> Any:
    """Replaces references to secrets in all texts."""
    if isinstance(value, dict):
        return {k: resolved(v, environ) for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [resolved(v, environ) for v in value]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(value, str):
        return value
    readers: dict[str, Callable[[str], str]] = {"env": lambda n: _from_env(n, environ), "file": _from_file}

    def read(match: re.Match[str]) -> str:
        if match[1] not in readers:
            raise bad("read a secret", "${env:NAME} or ${file:/path}", match[0], "Use one of these.")
        return readers[match[1]](match[2])

    return _REFERENCE.sub(read, value)


def refuse_secrets(raw: object, where: str = "") -> None:
    """Raises for a secret that is written out: the file is read, shown and shared by people."""
    if isinstance(raw, dict):
        for key, value in raw.items():  # pyright: ignore[reportUnknownVariableType]
            refuse_secrets(value, f"{where}.{key}" if where else str(key))  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(raw, list):
        for value in raw:  # pyright: ignore[reportUnknownVariableType]
            refuse_secrets(value, where)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(raw, str) and _holds_secret(raw, where):
        remedy = "Write ${env:NAME} or ${file:/path} in its place."
        raise bad(READ, "secrets by reference", f"one written out in `{where}`", remedy)


def _holds_secret(text: str, where: str) -> bool:
    if where.endswith(("redact.key", "identity_secret")):
        return not _REFERENCE.fullmatch(text)
    if where.rpartition(".")[2] not in _ADDRESSES:
        return False
    return any("${" not in (found["word"] or found["value"]) for found in _SECRETS.finditer(text))


def _from_env(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise bad("read a secret", f"the environment variable {name}", "none of that name", f"Set {name}.")
    return environ[name]


def _from_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise bad("read a secret", f"a readable file {path}", error.strerror or "", "Create it.") from None
