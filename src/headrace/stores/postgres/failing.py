"""What went wrong at the store, as errors of ours."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolClosed

from headrace.errors import BadInput, StoreError

_GONE = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.InvalidSqlStatementName, PoolClosed)
"""The last but one: a connection on which somebody else let go of what was prepared."""


@contextmanager
def named(step: str) -> Generator[None]:
    """A store that is gone is a StoreError; what it will not take is the input's fault."""
    try:
        yield
    except _GONE as error:
        raise StoreError(
            step=step,
            expected="a store that answers",
            got=f"{type(error).__name__}: {str(error).strip()[:300]}",
            remedy="It is connected again by itself; if not, look at the server and at its disk.",
        ) from error
    except psycopg.Error as error:
        raise BadInput(
            step=step,
            expected="values that the store can keep",
            got=f"{type(error).__name__}: {str(error).strip()[:300]}",
            remedy="Correct the value at the source, or leave its column out.",
        ) from error
