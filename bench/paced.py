"""Updates that keep their rate: `python -m bench.paced DSN SECONDS FIRST`. Prints when each had returned, as JSON.

Every transaction writes its number (from FIRST on) into `stock` of `ROWS` rows of the table of `bench backlog`, one
statement in autocommit. Transactions start by the clock, not after the one before, so a database that is slow for a
moment gets the same work, a little later. Times are of the machine's monotonic clock, which all its processes share.
"""

from __future__ import annotations

import sys
import time

import msgspec
import psycopg

TRANSACTIONS_PER_S = 200
ROWS = 5
CHANGES_PER_S = TRANSACTIONS_PER_S * ROWS
OF = 500_000
"""Rows of the table."""
UPDATE = """update items set stock = %s, price = price + 0.01, changed_at = clock_timestamp()
 where id > %s and id <= %s"""


class Written(msgspec.Struct, frozen=True):
    """`returned_ns[n]`: when the commit of transaction `first + n` had returned."""

    first: int
    seconds: float
    returned_ns: list[int]

    @property
    def rate(self) -> float:
        """Changes a second."""
        return len(self.returned_ns) * ROWS / self.seconds


def write(connection: psycopg.Connection, first: int, count: int) -> Written:
    returned: list[int] = []
    began = time.perf_counter()
    for n in range(count):
        if (wait := began + n / TRANSACTIONS_PER_S - time.perf_counter()) > 0:
            time.sleep(wait)
        place = (first + n) * ROWS % OF
        connection.execute(UPDATE, [first + n, place, place + ROWS], prepare=True)
        returned.append(time.monotonic_ns())
    return Written(first, time.perf_counter() - began, returned)


def main() -> None:
    count = round(float(sys.argv[2]) * TRANSACTIONS_PER_S)
    with psycopg.connect(sys.argv[1], autocommit=True) as connection:
        print(msgspec.json.encode(write(connection, int(sys.argv[3]), count)).decode())


if __name__ == "__main__":
    main()
