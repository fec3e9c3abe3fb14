"""The address of a source: what is shown of it, and how sessions are opened with it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from headrace.errors import ConfigError

SSL_MODES = ("disabled", "preferred", "required", "verify-ca", "verify-identity")
_OPTIONS = ("ssl", "ssl_ca", "ssl_cert", "ssl_key", "socket", "connect_timeout", "password")
_PORT = 3306


@dataclass(frozen=True, slots=True)
class Address:
    """`shown` has no secret. `database` may be empty. `ssl` is one of SSL_MODES, files are paths or empty."""

    user: str
    password: str
    host: str
    port: int
    database: str
    socket: str
    ssl: str
    ssl_ca: str
    ssl_cert: str
    ssl_key: str
    connect_timeout: int
    shown: str

    def __repr__(self) -> str:
        return f"Address({self.shown})"


def parse(url: str) -> Address:
    """Raises ConfigError, which does not repeat the URL: it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORT
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        timeout = int(options.get("connect_timeout", "10"))
    except ValueError:
        raise _bad(
            "mysql://user@host:port/database",
            "one that cannot be read (not shown: it may hold a password)",
            "Percent-encode special characters of the user name and password, such as @ as %40.",
        ) from None
    if unknown := sorted(options.keys() - set(_OPTIONS)):
        raise _bad("options among " + ", ".join(_OPTIONS), ", ".join(unknown), "Correct the URL's query.")
    ssl = options.get("ssl") or ("verify-identity" if options.get("ssl_ca") else "preferred")
    if ssl not in SSL_MODES:
        raise _bad("ssl as one of " + ", ".join(SSL_MODES), f"ssl={ssl}", "Correct the URL's query.")
    if not parts.hostname and not options.get("socket"):
        raise _bad("a host, or socket=/path", "neither", "Name the server: mysql://user@host/database.")
    database = unquote(parts.path.removeprefix("/"))
    shown = _shown(parts.scheme, unquote(parts.username or ""), parts.hostname or "", parts.port, database, options)
    return Address(
        user=unquote(parts.username or ""),
        password=options.get("password") or unquote(parts.password or ""),
        host=parts.hostname or "localhost",
        port=port,
        database=database,
        socket=options.get("socket", ""),
        ssl=ssl,
        ssl_ca=options.get("ssl_ca", ""),
        ssl_cert=options.get("ssl_cert", ""),
        ssl_key=options.get("ssl_key", ""),
        connect_timeout=max(1, timeout),
        shown=shown,
    )


def _shown(scheme: str, user: str, host: str, port: int | None, database: str, options: dict[str, str]) -> str:
    rest = {k: v for k, v in sorted(options.items()) if k not in ("password", "ssl_key")}
    at = f"{quote(user, safe='')}@" if user else ""
    place = f"[{host}]" if ":" in host else host
    query = urlencode(rest, safe="/,")
    where = f"{scheme}://{at}{place}{f':{port}' if port else ''}/{quote(database, safe='')}"
    return where + (f"?{query}" if query else "")


def _bad(expected: str, got: str, remedy: str) -> ConfigError:
    return ConfigError(step="read the address of a MySQL source", expected=expected, got=got, remedy=remedy)
