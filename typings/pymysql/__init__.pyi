# What Headrace uses of PyMySQL, which carries no types.
import ssl as _ssl
from collections.abc import Mapping
from io import BufferedReader
from socket import socket
from typing import Self

from pymysql.cursors import Cursor

class MySQLError(Exception): ...
class OperationalError(MySQLError): ...
class IntegrityError(MySQLError): ...

class MySQLResult:
    unbuffered_active: bool

class Connection:
    _sock: socket | None
    _result: MySQLResult | None
    _rfile: BufferedReader | None
    server_version: str
    def __init__(
        self,
        *,
        user: str | None = None,
        password: str | bytes = "",
        host: str | None = None,
        database: str | None = None,
        unix_socket: str | None = None,
        port: int = 0,
        charset: str = "",
        use_unicode: bool = True,
        conv: Mapping[object, object] | None = None,
        autocommit: bool | None = False,
        connect_timeout: int = 10,
        read_timeout: int | None = None,
        program_name: str | None = None,
        ssl: _ssl.SSLContext | None = None,
        ssl_disabled: bool | None = None,
        init_command: str | None = None,
    ) -> None: ...
    def _force_close(self) -> None: ...
    def _execute_command(self, command: int, sql: bytes) -> None: ...
    def query(self, sql: str, unbuffered: bool = False) -> int: ...
    def cursor(self) -> Cursor: ...
    def begin(self) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: object) -> None: ...

connect = Connection
