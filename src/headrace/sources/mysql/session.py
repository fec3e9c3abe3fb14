"""Sessions at the source's server: the one place that knows PyMySQL. Everything here blocks: call it in a thread.

PyMySQL has no reader of the binary log, but its connection hands out what is needed: after COM_BINLOG_DUMP the socket
carries nothing but the log's packets.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from struct import Struct
from typing import cast

from headrace.errors import ConfigError, without_extra
from headrace.sources.mysql.address import Address
from headrace.sources.mysql.problems import connect_failed
from headrace.sources.mysql.result import Cells, Failed

try:
    import pymysql
except ImportError as missing:
    raise without_extra("mysql", "load the MySQL source", missing) from None

READ_TIMEOUT_S = 60
"""A server that says nothing for so long, while an answer is waited for, counts as gone."""
_BLOCK = 256 * 1024
_COM_BINLOG_DUMP = 0x12
_dump = Struct("<IHI").pack


class _Connection(pymysql.Connection):
    def dump(self, command: bytes) -> None:
        self._execute_command(_COM_BINLOG_DUMP, command)

    @property
    def socket(self) -> socket.socket | None:
        return self._sock

    def received(self) -> bytes:
        """What has come of the rows of a query, undecoded."""
        if self._rfile is None:
            raise OSError("the connection is closed")
        return self._rfile.read1(_BLOCK)

    def all_received(self) -> None:
        """To the connection nothing was read of the rows: it need not look for their end."""
        result, self._result = self._result, None
        if result is not None:
            result.unbuffered_active = False

    def abandon(self) -> None:
        """Closes without reading what the server still sends."""
        if self._result is not None:
            self._result.unbuffered_active = False
        self._force_close()


class Session:
    """One connection, its values unread. Call `close` at the end."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, address: Address, *, read_timeout_s: int | None = None) -> Session:
        """In UTC, without the modes that change how values read. Raises Broken or SourceError."""
        try:
            connection = _Connection(
                user=address.user,
                password=address.password.encode(),
                host=address.host,
                port=address.port,
                unix_socket=address.socket or None,
                database=address.database or None,
                charset="utf8mb4",
                use_unicode=False,
                conv={},
                autocommit=True,
                connect_timeout=address.connect_timeout,
                read_timeout=read_timeout_s or READ_TIMEOUT_S,
                program_name="headrace",
                ssl=_context(address),
                ssl_disabled=address.ssl == "disabled" or bool(address.socket),
                init_command="SET SESSION time_zone = '+00:00', sql_mode = '', net_write_timeout = 3600, "
                "lock_wait_timeout = 30",
            )
        except pymysql.MySQLError as problem:
            raise _connect_failed(address, problem) from None
        except (OSError, RuntimeError, ValueError) as problem:
            raise connect_failed(
                address.shown, 2026 if isinstance(problem, ssl.SSLError) else 0, str(problem)
            ) from None
        return cls(connection)

    @property
    def version(self) -> str:
        return self._connection.server_version

    def rows(self, statement: str, *values: str | int) -> list[Cells]:
        """Raises Failed."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return cast("list[Cells]", list(cursor.fetchall()))
        except (pymysql.MySQLError, OSError) as problem:
            raise _failed(problem) from None

    def named(self, statement: str, *values: str | int) -> list[dict[str, str]]:
        """Rows by lower-case column names, as text: for SHOW, whose columns differ. Raises Failed."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                names = [str(d[0]).lower() for d in cursor.description or ()]
                rows = cast("list[Cells]", list(cursor.fetchall()))
        except (pymysql.MySQLError, OSError) as problem:
            raise _failed(problem) from None
        return [{n: (v or b"").decode("utf-8", "replace") for n, v in zip(names, row, strict=True)} for row in rows]

    def select(self, statement: str) -> None:
        """Begins a query whose rows come by `block`. Raises Failed."""
        try:
            self._connection.query(statement, unbuffered=True)
        except (pymysql.MySQLError, OSError) as problem:
            raise _failed(problem) from None

    def block(self) -> bytes:
        """What has come of the rows, for a `ResultReader`; waits for some. Raises Failed."""
        try:
            block = self._connection.received()
        except (OSError, ValueError) as problem:  # ValueError: closed meanwhile
            raise Failed(0, str(problem)) from None
        if not block:
            raise Failed(0, "the server closed the connection")
        return block

    def selected(self) -> None:
        """All rows have come: other statements may follow."""
        self._connection.all_received()

    def dump(self, server_id: int, file: str, offset: int) -> socket.socket:
        """From here on the server sends its log: packets on this socket, nothing else. Raises Failed."""
        try:
            self._connection.dump(_dump(offset, 0, server_id) + file.encode())
        except (pymysql.MySQLError, OSError) as problem:
            raise _failed(problem) from None
        if (found := self._connection.socket) is None:
            raise Failed(0, "the connection is closed")
        return found

    def interrupt(self) -> None:
        """Ends what waits for the server in another thread; the session is of no use after."""
        with contextlib.suppress(OSError):
            if (found := self._connection.socket) is not None:
                found.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Without waiting for the server, nor for what it still sends."""
        self.interrupt()
        self._connection.abandon()


def _context(address: Address) -> ssl.SSLContext | None:
    """None for `preferred`, where PyMySQL itself takes TLS when the server has it."""
    if address.ssl in ("disabled", "preferred") or address.socket:
        return None
    context = ssl.create_default_context(cafile=address.ssl_ca or None)
    # What the server makes for itself does not keep to all of RFC 5280.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = address.ssl == "verify-identity"
    context.verify_mode = ssl.CERT_NONE if address.ssl == "required" else ssl.CERT_REQUIRED
    if address.ssl_cert:
        context.load_cert_chain(address.ssl_cert, address.ssl_key or None)
    return context


def _failed(problem: Exception) -> Failed:
    code = problem.args[0] if problem.args and isinstance(problem.args[0], int) else 0
    text = str(problem.args[1]) if len(problem.args) > 1 else str(problem) or type(problem).__name__
    return Failed(0 if isinstance(problem, OSError) else code, text)


def _connect_failed(address: Address, problem: Exception) -> Exception:
    failed = _failed(problem)
    if "cryptography" in failed.text:
        return ConfigError(
            step=f"connect to {address.shown}",
            expected="the package cryptography, for this user's way to log in without TLS",
            got=failed.text,
            remedy="Install it: pip install 'headrace[mysql]'; or use TLS (ssl=required).",
        )
    return connect_failed(address.shown, failed.code, failed.text)
