"""Tables that are read again, through the command line, beside a Headrace that is killed and started again."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import PostgresApart
from tests.whole import Database, Whole, database, until, whole

ROWS = 20_000
SETTINGS = """
[[sources]]
name = "shop"
url = "{dsn}"
tables = ["public.*"]
"""


@pytest.fixture
def shop(debian_postgres: PostgresApart) -> Iterator[Database]:
    with database(
        debian_postgres,
        "create table items (id int primary key, n int not null, v text)",
        f"insert into items select g, 0, repeat('x', 50) from generate_series(1, {ROWS}) g",
        "create table prices (id int primary key, n int not null, v text)",
        f"insert into prices select g, 0, repeat('y', 50) from generate_series(1, {ROWS}) g",
        "analyze",
    ) as made:
        yield made


def logged(headrace: Whole, table: str) -> dict[int, tuple[int, str]]:
    """The rows that the log's changes amount to, and that none of one key goes back."""
    rows: dict[int, tuple[int, str]] = {}
    for change in headrace.lines(f"/v1/log/shop.public.{table}"):
        match change["op"]:
            case "t":
                rows.clear()
            case "d":
                rows.pop(change["key"]["id"], None)
            case _:
                after = change["after"]
                assert after["n"] >= rows.get(after["id"], (0, ""))[0], change
                rows[after["id"]] = (after["n"], after["v"])
    return rows


def stored(shop: Database, table: str) -> dict[int, tuple[int, str]]:
    return {id: (n, v) for id, n, v in shop.rows(f"select id, n, v from {table}")}


class Writer:
    """Counts rows up, in a session of its own, until it is told to stop."""

    def __init__(self, shop: Database) -> None:
        self._database = Database(shop.dsn)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        n = 0
        while not self._stop.wait(0.002):
            n += 1
            self._database.run(f"update items set n = n + 1 where id % 997 = {n % 997}")

    def end(self) -> None:
        self._stop.set()
        self._thread.join()
        self._database.connection.close()


def jobs(headrace: Whole) -> list[Any]:
    return headrace.get("/v1/snapshots")["snapshots"]


def test_a_first_copy_and_a_snapshot_go_on_after_kills(shop: Database, tmp_path: Path) -> None:
    headrace = Whole(tmp_path, SETTINGS.format(dsn=shop.dsn))
    writer = Writer(shop)
    try:
        # given a first copy that is killed in the middle, while rows change, end and get another key
        headrace.launch()
        until(lambda: copied(headrace) > 0, "some rows are copied", headrace.told, pause_s=0.005)
        headrace.kill()
        shop.run("delete from items where id <= 10", "update prices set id = -id where id <= 10")
        headrace.start()
        headrace.settle()
        first = [j for j in jobs(headrace) if j["reason"] == "first"]
        assert all(j["state"] == "done" for j in first)

        # when everything is read again by command, and that is killed too
        asked = headrace.command("snapshot", "shop.public.*", "--no-wait", "--json").json["snapshots"]
        assert [j["table"] for j in asked] == ["public.items", "public.prices"]
        until(lambda: any(j["chunks"] for j in jobs(headrace)), "a chunk was read", headrace.told, pause_s=0.005)
        headrace.kill()
        headrace.start()
        ids = {j["id"] for j in asked}
        until(lambda: ids <= ended(headrace), "the snapshots have ended", headrace.told)
        writer.end()
        headrace.settle()

        # then the log amounts to the tables
        assert {j["state"] for j in jobs(headrace)} == {"done"}
        for table in ("items", "prices"):
            assert logged(headrace, table) == stored(shop, table)
    finally:
        writer.end()
        headrace.close()


def ended(headrace: Whole) -> set[str]:
    return {j["id"] for j in jobs(headrace) if j["ended_at"]}


def copied(headrace: Whole) -> int:
    try:
        return sum(t["changes"] for t in headrace.get("/v1/status")["topics"])
    except Exception:  # noqa: BLE001 - it is starting
        return 0


def test_a_range_is_read_by_command_and_a_table_comes_while_it_runs(shop: Database, tmp_path: Path) -> None:
    with whole(tmp_path, SETTINGS.format(dsn=shop.dsn)) as headrace:
        headrace.settle()

        # a range, with its progress to the end
        shown = headrace.command("snapshot", "shop.public.items", "--from", "101", "--to", "200", "--json")
        (done,) = [line for line in shown.lines if line["state"] == "done"]
        assert (done["table"], done["done"], done["deleted"]) == ("public.items", 100, 0)
        told = headrace.command("snapshot")
        assert f"{done['id']}  public.items  done  100 rows" in told.out

        # a table that comes while it runs
        shop.run("create table later (id int primary key, n int, v text)", "insert into later values (1, 1, 'new')")
        until(lambda: [j for j in jobs(headrace) if j["table"] == "public.later" and j["ended_at"]] != [], "it is read")
        assert logged(headrace, "later") == {1: (1, "new")}
        assert [s["snapshots"][-1]["reason"] for s in headrace.get("/v1/status")["sources"]] == ["added"]

        # what cannot be done is told
        for arguments, words in (
            (["shop.public.nothing"], "public.items"),
            (["elsewhere.public.items"], "shop"),
            (["shop.public.*", "--from", "1"], "one table"),
            (["shop.public.items", "--from", "one"], "invalid input syntax"),
            (["--cancel", done["id"]], "waits or runs"),
        ):
            refused = headrace.command("snapshot", *arguments)
            assert refused.code == 1
            assert words in refused.err, refused.err
    alone = headrace.command("snapshot", "shop.public.items")
    assert "headrace up" in alone.err
    assert json.loads(headrace.command("snapshot", "--json").out) is not None
    assert subprocess.run([sys.executable, "-m", "headrace", "snapshot", "--help"], check=True).returncode == 0
