"""A writer that keeps its rate: `python -m bench.writer DSN SECONDS`. Prints what it did as JSON when it is done.

Every transaction changes `ROWS` rows of `users`, every `EVERY`th also one of `notes`. Transactions start by the clock,
not after the one before, so a database that is slow for a moment gets the same work, a little later.
"""

from __future__ import annotations

import json
import sys
import time

import psycopg

TRANSACTIONS_PER_S = 200
ROWS = 5
EVERY = 4  # 50 rows of notes a second take the place of 50 of users
USERS = 10_000
NOTES = 1000
CHANGES_PER_S = TRANSACTIONS_PER_S * ROWS
NOTES_PER_S = TRANSACTIONS_PER_S // EVERY
MIX = (
    f"{CHANGES_PER_S - NOTES_PER_S}/s profile fields, {NOTES_PER_S}/s texts of rows (embedded again),"
    f" in {TRANSACTIONS_PER_S} transactions/s of {ROWS} changes, committed to disk"
)


def transaction(connection: psycopg.Connection, number: int) -> None:
    with connection.pipeline(), connection.transaction():
        rows = ROWS
        if number % EVERY == 0:
            rows -= 1
            note = number // EVERY
            body = f"remark {note} of the hour concerns subject {note * 7919 % 100_003}"
            connection.execute("update notes set body = %s where id = %s", [body, note % NOTES + 1], prepare=True)
        for n in range(rows):
            user = (number * ROWS + n) % USERS + 1
            city = f"town{number}"
            connection.execute("update users set city = %s where id = %s", [city, user], prepare=True)


def main() -> None:
    seconds = float(sys.argv[2])
    late = 0.0
    with psycopg.connect(sys.argv[1], autocommit=True) as connection:
        began = time.perf_counter()
        for number in range(round(seconds * TRANSACTIONS_PER_S)):
            due = began + number / TRANSACTIONS_PER_S
            if (wait := due - time.perf_counter()) > 0:
                time.sleep(wait)
            late = max(late, time.perf_counter() - due)
            transaction(connection, number)
        took = time.perf_counter() - began
    changes = round(seconds * TRANSACTIONS_PER_S) * ROWS
    print(json.dumps({"changes": changes, "seconds": took, "rate": changes / took, "latest_ms": late * 1000}))


if __name__ == "__main__":
    main()
