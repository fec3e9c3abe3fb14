"""The whole process on a MariaDB: rows as documents, profiles, reads of one's own writes, kill -9."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pymysql
import pytest

from tests.servers import MariadbApart
from tests.whole import Whole, until

SETTINGS = """
[[sources]]
name = "shop"
url = "{url}"

[[knowledge.rows]]
table = "shop.{database}.products"
text = "{{{{ name }}}} costs {{{{ price }}}} euros. {{{{ about }}}}"

[[profiles.records]]
table = "shop.{database}.customers"
identifiers = {{ customer = "id", email = "email" }}
fields = {{ name = "name" }}

[[profiles.facts]]
table = "shop.{database}.orders"
belongs_to = {{ customer = "customer" }}
order_by = "at"
time = "at"
aggregates = {{ orders = "count(*)", spent = "sum(price)" }}
"""

TABLES = (
    "create table products(id int primary key, name varchar(50), price decimal(10,2), about text)",
    "create table customers(id int primary key, name varchar(50), email varchar(50) character set latin1)",
    "create table orders(id bigint unsigned primary key, customer int, price decimal(10,2), at datetime(3))",
    "create table keyless(v int)",
    "insert into products values (1, 'Kettle', 49.90, 'Boils a litre of water.')",
    "insert into customers values (7, 'Jörg', 'jörg@example.com')",
    "insert into orders values (18446744073709551615, 7, 49.90, '2024-05-15 12:00:00.5')",
)


class Shop:
    def __init__(self, server: MariadbApart) -> None:
        self.server = server
        self.database = f"shop_{secrets.token_hex(4)}"
        server.sql(f"create database {self.database}")
        self.connection = server.connect(self.database)
        self.sql(*TABLES)

    @property
    def settings(self) -> str:
        return SETTINGS.format(url=self.server.url(self.database), database=self.database)

    def sql(self, *statements: str) -> None:
        for statement in statements:
            self.connection.cursor().execute(statement)

    def product(self, headrace: Whole, id: int) -> str | None:
        found = headrace.document(f"shop/{self.database}.products/{id}")
        return None if found is None else found["text"]


@pytest.fixture
def shop(mariadb: MariadbApart) -> Iterator[Shop]:
    made = Shop(mariadb)
    yield made
    made.connection.close()
    mariadb.sql(f"drop database {made.database}")


def test_rows_of_a_mariadb_are_answered_from(shop: Shop, tmp_path: Path) -> None:
    # given a database, copied at the first start
    headrace = Whole(tmp_path, shop.settings)
    try:
        headrace.start().settle()
        assert shop.product(headrace, 1) == "Kettle costs 49.90 euros. Boils a litre of water."
        profile = headrace.profile("email:jörg@example.com")
        assert profile["fields"]["name"] == "Jörg"
        assert profile["aggregates"] == {"orders": 1, "spent": "49.90"}
        assert [letter["expected"] for letter in headrace.letters()] == ["a primary key"]

        # when rows change
        shop.sql(
            "update products set price = 39.90 where id = 1",
            "insert into products values (2, 'Teapot', 20, 'For tea.')",
            "insert into orders values (2, 7, 20, '2024-05-16 12:00:00')", "update customers set name = 'Jürgen'",
        )  # fmt: skip
        token = headrace.token()

        # then who waits for it reads it, with its place in the binary log
        answer = headrace.post("/v1/ask", {"question": "What does the kettle cost?", "after": token, "wait_ms": 60_000})
        assert "39.90" in answer["answer"]
        profile = headrace.profile("customer:7", after=token, wait_ms=60_000)
        assert (profile["fields"]["name"], profile["aggregates"]) == ("Jürgen", {"orders": 2, "spent": "69.90"})
        source = headrace.source("shop")
        assert source["position"].startswith("binlog.")
        assert source["url"].startswith("mysql://headrace@127.0.0.1")
        assert shop.server.password not in str(headrace.get("/v1/status"))
        (file, offset, *_), *_ = rows(shop, "show master status")
        headrace.search("tea", after=f"shop@{file}:{offset}", wait_ms=60_000)

        # and its changes are told as Debezium tells them
        last = headrace.lines(f"/v1/log/shop.{shop.database}.orders")[-1]["source"]
        assert (last["connector"], last["db"], last["table"]) == ("mariadb", shop.database, "orders")
        assert last["file"] == file
        assert 0 < last["pos"] < int(str(offset))

        # and what went without the log's knowing is repaired by reading the table again
        shop.sql(
            "set sql_log_bin = 0", "delete from products where id = 2", "update products set price = 29.90",
            "set sql_log_bin = 1",
        )  # fmt: skip
        headrace.post("/v1/snapshots", {"tables": f"shop.{shop.database}.products"})
        until(lambda: [j["state"] for j in headrace.get("/v1/snapshots")["snapshots"]] == ["done"], "a snapshot's end")
        headrace.settle()
        assert "29.90" in (shop.product(headrace, 1) or "")
        assert shop.product(headrace, 2) is None

        # and a table that is emptied has no documents any more
        shop.sql("truncate products")
        headrace.settle()
        assert shop.product(headrace, 1) is None
    finally:
        headrace.close()


def test_kills_lose_and_double_nothing(shop: Shop, tmp_path: Path) -> None:
    moments = random.Random(20261121)
    headrace = Whole(tmp_path, shop.settings)
    try:
        for n in range(6):
            headrace.launch()
            if n % 3:
                headrace.ready()
            ends = time.monotonic() + moments.uniform(0.2, 1.2)
            while time.monotonic() < ends:
                change(shop, moments)
            headrace.kill()
            change(shop, moments)
        headrace.start().settle()

        expected = {
            f"shop/{shop.database}.products/{id}": f"{name} costs {price} euros. {about}"
            for id, name, price, about in rows(shop, "select * from products")
        }
        assert len(expected) > 3
        assert {id: headrace.document(id)["text"] for id in headrace.documents()} == expected
        for customer, orders, spent in rows(
            shop,
            "select c.id, count(o.id), coalesce(sum(o.price), 0) from customers c"
            " left join orders o on o.customer = c.id group by 1",
        ):
            aggregates = headrace.profile(f"customer:{customer}")["aggregates"]
            assert (aggregates["orders"], Decimal(aggregates["spent"] or 0)) == (orders, spent)
    finally:
        headrace.close()


def test_a_reset_log_is_told_and_stops_only_its_source(mariadb_apart: MariadbApart, tmp_path: Path) -> None:
    shop = Shop(mariadb_apart)
    headrace = Whole(tmp_path, shop.settings)
    try:
        headrace.start().settle()
        shop.sql("insert into products values (2, 'Teapot', 20, 'For tea.')")
        headrace.settle()
        time.sleep(1.1)
        shop.sql("reset master", "insert into products values (3, 'Cup', 5, 'For tea.')")

        until(lambda: "reset" in str(headrace.source("shop")["last_error"]), "the source fails", headrace.told)
        assert headrace.source("shop")["state"] == "down"
        assert shop.product(headrace, 2) == "Teapot costs 20.00 euros. For tea."
        assert shop.product(headrace, 3) is None
    finally:
        headrace.close()


def change(shop: Shop, moments: random.Random) -> None:
    id = moments.randrange(1, 30)
    try:
        shop.connection.begin()
        for statement in moments.sample(
            (
                f"replace into products values ({id}, 'Thing {id}', {moments.randrange(100)}, 'Made of {id}.')",
                f"delete from products where id = {moments.randrange(1, 30)}",
                f"replace into customers values ({id % 5}, 'Name {moments.random()}', 'c{id % 5}@example.com')",
                f"insert into orders values ({moments.randrange(10**9)}, {id % 5}, {id}, now(3))",
                f"update orders set price = price + 1 where customer = {id % 5}",
            ),
            2,
        ):
            shop.sql(statement)
        (shop.connection.commit if moments.random() < 0.9 else shop.connection.rollback)()
    except pymysql.IntegrityError:
        shop.connection.rollback()


def rows(shop: Shop, query: str) -> list[tuple[object, ...]]:
    with shop.connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())
