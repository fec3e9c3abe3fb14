"""A load that never rests: rows of several tables and files of a folder, changed at random from a seed."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

TABLES = (
    "create table flights (flight text primary key, origin text not null, destination text not null,"
    " seats int not null, price numeric(8, 2) not null, note text)",
    "create table seats (flight text, seat text, class text not null, primary key (flight, seat))",
    "create table notices (notice serial primary key, subject text not null)",
    "create table users (user_id int primary key, email text not null, name text not null, data jsonb not null)",
    "create table accounts (account text primary key, email text, tier text)",
    "create table bookings (booking serial primary key, user_id int not null, flight text not null,"
    " amount numeric(10, 2) not null, made timestamptz not null default clock_timestamp())",
    "create table ignored (n bigserial primary key, text text)",
)

SETTINGS = '''
[[sources]]
name = "airline"
url = "{dsn}"
[[sources]]
name = "policies"
url = "file://{folder}"
[[knowledge.rows]]
table = "airline.public.flights"
text = """
Flight {{{{flight}}}} from {{{{origin}}}} to {{{{destination}}}} has {{{{seats}}}} seats at {{{{price | money}}}}.
{{{{note or ""}}}}"""
[[knowledge.rows]]
table = "airline.public.seats"
text = "Seat {{{{seat}}}} of flight {{{{flight}}}} is {{{{class}}}}"
[[knowledge.rows]]
table = "airline.public.notices"
text = "Notice: {{{{subject}}}}"
[[profiles.records]]
table = "airline.public.users"
identifiers = {{ user_id = "user_id", email = "email" }}
fields = {{ name = "name", data = "data" }}
[[profiles.records]]
table = "airline.public.accounts"
identifiers = {{ account = "account", email = "email" }}
fields = {{ tier = "tier" }}
[[profiles.facts]]
table = "airline.public.bookings"
belongs_to = {{ user_id = "user_id" }}
order_by = "made"
keep = 20
aggregates = {{ bookings = "count(*)", spent = "sum(amount)", dearest = "max(amount)" }}
'''

_PLACES = "Oslo Lima Accra Quito Hanoi Turin Malmö Kyoto Split Porto".split()
_WORDS = "bag refund seat window delay gate crew meal upgrade cancel fee infant pet ski voucher lounge".split()


def settings(dsn: str, folder: Path) -> str:
    return SETTINGS.format(dsn=dsn, folder=folder)


class Load:
    """`start` begins in a thread; `stop` ends it, with no table left empty, and raises what went wrong in it."""

    def __init__(self, dsn: str, folder: Path, seed: int, *, pause_s: float = 0.02, rows: int = 60) -> None:
        self._random = random.Random(seed)
        self._folder = folder
        self._pause_s = pause_s
        self._connection = psycopg.connect(dsn, autocommit=True)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._failure: BaseException | None = None
        self._rows = rows
        self.transactions = 0
        self.saved = 0

    def prepare(self) -> Load:
        """The tables and folder with something in them."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for statement in TABLES:
            self._connection.execute(statement.encode())
        for _ in range(self._rows):
            self._fill()
        for _ in range(12):
            self._file()
        return self

    def start(self) -> Load:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)
        try:
            if self._failure is not None:
                raise self._failure
            self._fill()  # the last thing it did may have been a TRUNCATE, and nothing equals nothing
        finally:
            self._connection.close()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        for change in (self._flight, self._seat, self._user, self._account, self._booking, self._notice):
            change()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._transaction()
                if self._random.random() < 0.3:
                    self._file()
                time.sleep(self._random.uniform(0, 2 * self._pause_s))
        except BaseException as failure:  # noqa: BLE001 - it is raised by stop()
            self._failure = failure

    def _transaction(self) -> None:
        changes: list[Callable[[], None]] = [
            self._flight, self._flight, self._rename_flight, self._drop_flight, self._seat, self._drop_seat,
            self._user, self._drop_user, self._account, self._drop_account, self._booking, self._booking,
            self._change_booking, self._drop_booking, self._notice, self._ignored,
        ]  # fmt: skip
        chosen = self._random.choices(changes, k=self._random.choice((1, 1, 1, 2, 5)))
        if self._random.random() < 0.01:
            chosen.append(self._truncate)
        with contextlib.suppress(psycopg.Rollback), self._connection.transaction():
            for change in chosen:
                change()
            if self._random.random() < 0.05:
                raise psycopg.Rollback
        self.transactions += 1

    def _execute(self, statement: str, *values: object) -> None:
        self._connection.execute(statement.encode(), values)

    def _flight_name(self) -> str:
        return f"HAT{self._random.randrange(120):03}"

    def _words(self, most: int) -> str:
        return " ".join(self._random.choices(_WORDS, k=self._random.randint(1, most)))

    def _flight(self) -> None:
        origin, destination = self._random.sample(_PLACES, 2)
        price = self._random.randrange(5000, 90000) / 100
        note = self._random.choice((None, "", self._words(30)))
        self._execute(
            "insert into flights values (%s, %s, %s, %s, %s, %s) on conflict (flight) do update"
            " set seats = excluded.seats, price = excluded.price, note = excluded.note",
            self._flight_name(), origin, destination, self._random.randrange(200), price, note,
        )  # fmt: skip

    def _rename_flight(self) -> None:
        self._execute(
            "update flights set flight = %s where flight = %s and not exists (select from flights where flight = %s)",
            *(new := [self._flight_name()]), self._flight_name(), *new,
        )  # fmt: skip

    def _drop_flight(self) -> None:
        self._execute("delete from flights where flight = %s", self._flight_name())

    def _seat(self) -> None:
        seat = f"{self._random.randrange(9)}{self._random.choice(('/', ',', '%', 'A'))}"
        self._execute(
            "insert into seats values (%s, %s, %s) on conflict (flight, seat) do update set class = excluded.class",
            self._flight_name(), seat, self._random.choice(("economy", "business", "first")),
        )  # fmt: skip

    def _drop_seat(self) -> None:
        self._execute("delete from seats where flight = %s", self._flight_name())

    def _notice(self) -> None:
        self._execute("insert into notices (subject) values (%s)", self._words(8))

    def _truncate(self) -> None:
        self._execute(self._random.choice(("truncate notices", "truncate accounts", "truncate bookings")))

    def _user(self) -> None:
        # All fields of users who share an address are made of it: which of them counts must not matter.
        pool = self._random.randrange(50)
        self._execute(
            "insert into users values (%s, %s, %s, %s) on conflict (user_id) do update"
            " set email = excluded.email, name = excluded.name, data = excluded.data",
            self._random.randrange(80), f"Mia.{pool}@Example.com", f"Mia {pool}", f'{{"pool": {pool}, "big": 12.50}}',
        )  # fmt: skip

    def _drop_user(self) -> None:
        self._execute("delete from users where user_id = %s", self._random.randrange(80))

    def _account(self) -> None:
        pool = self._random.randrange(50)
        self._execute(
            "insert into accounts values (%s, %s, %s) on conflict (account) do update"
            " set email = excluded.email, tier = excluded.tier",
            f"acc-{self._random.randrange(40)}", self._random.choice((None, f"mia.{pool}@example.com")), "gold",
        )  # fmt: skip

    def _drop_account(self) -> None:
        self._execute("delete from accounts where account = %s", f"acc-{self._random.randrange(40)}")

    def _booking(self) -> None:
        self._execute(
            "insert into bookings (user_id, flight, amount) values (%s, %s, %s)",
            self._random.randrange(80), self._flight_name(), self._random.randrange(1000, 99999) / 100,
        )  # fmt: skip

    def _change_booking(self) -> None:
        self._execute(
            "update bookings set amount = amount + 1, user_id = %s where booking %% 7 = %s",
            self._random.randrange(80), self._random.randrange(7),
        )  # fmt: skip

    def _drop_booking(self) -> None:
        self._execute("delete from bookings where booking %% 11 = %s and user_id %% 3 = 0", self._random.randrange(11))

    def _ignored(self) -> None:
        self._execute("insert into ignored (text) values (%s)", self._words(5))

    def _file(self) -> None:
        path = self._folder / self._random.choice(("", "deep/")) / f"{self._random.randrange(25)}.md"
        path.parent.mkdir(exist_ok=True)
        action = self._random.random()
        if action < 0.4:
            path.write_text(self._document(), encoding="utf-8")
        elif action < 0.7:  # as editors save
            fresh = path.with_name(f".{path.name}.swp")
            fresh.write_text(self._document(), encoding="utf-8")
            fresh.replace(path)
        elif action < 0.85:
            with contextlib.suppress(FileNotFoundError):
                os.rename(path, path.with_name(f"{self._random.randrange(25)}.md"))  # noqa: PTH104
        else:
            path.unlink(missing_ok=True)
        self.saved += 1

    def _document(self) -> str:
        parts = [f"# About {self._words(2)}\n"]
        for _ in range(self._random.choice((1, 1, 2, 6))):
            parts.append(f"## {self._words(3)}\n\n{self._words(120)}.\n")
        return "\n".join(parts)
