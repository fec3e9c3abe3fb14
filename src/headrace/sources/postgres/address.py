"""The address of a source: libpq's URI, what is shown of it, and the sessions that it opens."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from headrace.errors import ConfigError
from headrace.sources.postgres.options import split
from headrace.sources.postgres.values import SESSION

_SECRET = ("password", "secret", "passfile", "key")
_DEFAULTS = {
    "application_name": "headrace",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_SESSION = {
    # A machine of ours that is gone takes its sessions, and what they have locked, along within a minute, not the
    # system's two hours. No tcp_user_timeout: it also ends those who read slowly.
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
    "synchronous_commit": "local",
    "row_security": "off",
}


@dataclass(frozen=True, slots=True)
class Address:
    """`parameters` are libpq's, secrets included; `shown` has none."""

    parameters: tuple[tuple[str, str], ...]
    shown: str

    def conninfo(self, *, row_settings: bool = True, connect_timeout_s: int | None = None) -> str:
        """A connection string; its session reads values in the one form that all of Headrace's sessions share."""
        given = dict(self.parameters)
        settings = {**SESSION, **_SESSION} if row_settings else _SESSION
        if connect_timeout_s is not None:
            given["connect_timeout"] = str(connect_timeout_s)
        options = " ".join([given.pop("options", ""), *(f"-c {k}={v}" for k, v in settings.items())]).strip()
        return make_conninfo("", **{**_DEFAULTS, **given, "options": options, "client_encoding": "UTF8"})


def parse(url: str) -> Address:
    """Raises ConfigError, which does not repeat the URL: it may hold a password."""
    try:
        parsed = conninfo_to_dict(split(url)[0])
    except ProgrammingError:
        raise ConfigError(
            step="read the address of a PostgreSQL source",
            expected="postgresql://user@host:port/database",
            got="one that cannot be read (not shown: it may hold a password)",
            remedy="Percent-encode special characters of the user name and password, such as @ as %40.",
        ) from None
    parameters = {k: str(v) for k, v in parsed.items() if v is not None}
    return Address(tuple(sorted(parameters.items())), _shown(parameters))


def _shown(parameters: dict[str, str]) -> str:
    rest = {k: v for k, v in parameters.items() if not any(word in k for word in _SECRET) and k != "options"}
    user, host, port = rest.pop("user", ""), rest.pop("host", ""), rest.pop("port", "")
    database = quote(rest.pop("dbname", ""), safe="")
    if host.startswith("/") or "," in host or "," in port:
        rest = {"host": host, **({"port": port} if port else {}), **rest}
        host = port = ""
    at = f"{quote(user, safe='')}@" if user else ""
    place = f"[{host}]" if ":" in host else host
    query = urlencode(dict(sorted(rest.items())), safe="/,")
    return f"postgresql://{at}{place}{':' + port if port else ''}/{database}{'?' + query if query else ''}"
