"""The store of a running Headrace: another server's, one at a time, its history, its log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.checksum import wrong
from tests.servers import PostgresApart
from tests.whole import Database, Refused, Whole, database, until, whole

SETTINGS = """
[[sources]]
name = "airline"
url = "{dsn}"
[[sources]]
name = "policies"
url = "file://{folder}"
[[knowledge.rows]]
table = "airline.public.flights"
text = "Flight {{{{flight}}}} is {{{{status}}}}"
[[profiles.records]]
table = "airline.public.users"
identifiers = {{ email = "email" }}
fields = {{ name = "name" }}
"""
TABLES = (
    "create table flights (flight text primary key, status text not null)",
    "create table users (user_id int primary key, email text not null, name text not null)",
    "insert into flights values ('HAT1', 'delayed')",
    "insert into users values (1, 'mia@example.com', 'Mia')",
)


@pytest.fixture
def airline(debian_postgres: PostgresApart) -> Iterator[Database]:
    with database(debian_postgres, *TABLES) as made:
        yield made


@pytest.fixture
def settings(airline: Database, tmp_path: Path) -> str:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "baggage.md").write_text("# Baggage\n\nTwo bags are free.")
    return SETTINGS.format(dsn=airline.dsn, folder=folder)


def test_a_store_started_apart_works_the_same_and_survives_kills(
    airline: Database, settings: str, tmp_path: Path, standalone_postgres: PostgresApart
) -> None:
    with database(standalone_postgres) as store:
        headrace = Whole(tmp_path / "headrace", settings, store=store.dsn)
        try:
            headrace.start().settle()
            assert standalone_postgres.password not in headrace.told()
            for n in range(4):
                before = headrace.search("flight")["token"]
                airline.run(f"update flights set status = 'late by {n}'", f"update users set name = 'Mia {n}'")
                after = headrace.token()
                assert f"Flight HAT1 is late by {n}" in headrace.texts("flight", after=after, wait_ms=60_000)
                assert (
                    headrace.profile("email:mia@example.com", after=after, wait_ms=60_000)["fields"]["name"]
                    == f"Mia {n}"
                )
                assert f"Flight HAT1 is late by {n}" not in headrace.texts("flight", as_of=before)
                if n % 2:
                    headrace.kill()
                    airline.run(f"insert into flights values ('DOWN{n}', 'committed while it was down')")
                    headrace.start()
                else:
                    store.run(
                        "select pg_terminate_backend(pid) from pg_stat_activity"
                        " where datname = current_database() and pid <> pg_backend_pid()"
                    )
                    headrace.says("the engine stopped and is started again")
                    headrace.ready()
                headrace.settle()
            flights = set(headrace.documents(source="airline"))
            assert flights == {f"airline/public.flights/{f}" for f in ("HAT1", "DOWN1", "DOWN3")}
            assert headrace.stop() == 0
            assert not (tmp_path / "headrace" / "data" / "postgres").exists()
            assert not wrong(store.dsn)
        finally:
            headrace.close()


def test_a_second_one_on_the_same_store_or_data_folder_is_refused(
    settings: str, tmp_path: Path, standalone_postgres: PostgresApart
) -> None:
    with (
        database(standalone_postgres) as store,
        database(standalone_postgres) as another,
        whole(tmp_path / "first", settings, store=store.dsn) as first,
        whole(tmp_path / "embedded", settings) as embedded,
    ):
        first.settle()
        embedded.settle()
        same_store = Whole(tmp_path / "second", settings, store=store.dsn)
        told = same_store.refusal()
        assert "no other Headrace" in told
        assert "remedy" in told
        assert standalone_postgres.password not in told

        same_cluster = Whole(tmp_path / "third", settings, data=str(embedded.data))
        told = same_cluster.refusal()
        assert str(embedded.pid) in told
        assert "remedy" in told

        same_folder = Whole(tmp_path / "fourth", settings, store=another.dsn, data=str(first.data))
        told = same_folder.refusal()
        assert str(first.pid) in told
        assert "remedy" in told

        for running in (first, embedded):  # they have not noticed
            running.settle()
            assert running.command("status", "--json").json["status"] == "ok"


def test_history_and_log_are_forgotten_after_their_time_and_the_present_stays(
    airline: Database, settings: str, tmp_path: Path, standalone_postgres: PostgresApart
) -> None:
    with database(standalone_postgres) as store:
        main = 'history = "1s"\nretention = "1s"'
        headrace = Whole(tmp_path / "headrace", settings, store=store.dsn, main=main)
        try:
            headrace.start().settle()
            for n in range(20):
                airline.run(f"update flights set status = 'late by {n}'", f"update users set name = 'Mia {n}'")
                airline.run(
                    f"insert into flights values ('GONE{n}', 'x')", f"delete from flights where flight = 'GONE{n}'"
                )
            headrace.settle()
            closed = "select count(*) from document_versions where closed_at is not null"
            assert store.rows(closed)[0][0] > 10
            time.sleep(2.5)
            assert headrace.stop() == 0
            headrace.start().settle()

            until(lambda: store.rows(closed)[0][0] == 0, "closed versions are purged", headrace.told)
            for table in ("profile_versions", "fact_versions"):
                assert store.rows(f"select count(*) from {table} where closed_at is not null")[0][0] == 0
            assert store.rows("select count(*) from chunks c left join document_versions v using (version_id)"
                              " where v.closed_at is not null or v.version_id is null") == [(0,)]  # fmt: skip
            until(lambda: first_offset(headrace) > 40, "the log is trimmed", headrace.told)
            assert headrace.texts("flight HAT1", k=1) == ["Flight HAT1 is late by 19"]
            assert headrace.profile("email:mia@example.com")["fields"]["name"] == "Mia 19"

            airline.run("update flights set status = 'boarding'")
            token = headrace.settle()
            logged = headrace.lines("/v1/log/airline.public.flights")
            assert [c["after"]["status"] for c in logged] == ["boarding"]
            assert headrace.lines("/v1/log/airline.public.flights", **{"from": 3}) == logged

            # Seeing what is left of the log again changes nothing.
            present = headrace.documents(), headrace.profiles()
            assert headrace.stop() == 0
            store.run("update operator_progress set number = 0, changes = 0, bytes = 0")
            headrace.start().settle()
            now = headrace.documents(after=token), headrace.profiles(after=token)
            assert steady(now) == steady(present)
            assert not wrong(store.dsn)
        finally:
            headrace.close()


def test_a_point_that_history_no_longer_holds_is_refused_and_not_shown_in_half(
    airline: Database, settings: str, tmp_path: Path, standalone_postgres: PostgresApart
) -> None:
    with database(standalone_postgres) as store:
        headrace = Whole(tmp_path / "headrace", settings, store=store.dsn, main='history = "1s"')
        try:
            headrace.start().settle()
            old = headrace.search("flight")["token"]
            airline.run("update flights set status = 'boarding'")
            headrace.settle()
            time.sleep(2.5)
            assert headrace.stop() == 0
            headrace.start().settle()
            closed = "select count(*) from document_versions where closed_at is not null"
            until(lambda: store.rows(closed)[0][0] == 0, "closed versions are purged", headrace.told)
            with pytest.raises(Refused) as told:
                headrace.search("flight", as_of=old)
            assert told.value.status in (404, 410)
            assert "history" in told.value.problem["remedy"]
        finally:
            headrace.close()


def first_offset(headrace: Whole) -> int:
    topics = headrace.get("/v1/status")["topics"]
    flights = next(t for t in topics if t["name"] == "airline.public.flights")
    return int(flights["partitions"][0]["first_offset"])


def steady(shown: tuple[dict[str, dict[str, object]], ...]) -> list[dict[str, dict[str, object]]]:
    """Without ages."""
    return [{id: {k: v for k, v in one.items() if k != "age_ms"} for id, one in part.items()} for part in shown]


def test_a_store_that_is_not_there_is_told_at_start(settings: str, tmp_path: Path) -> None:
    headrace = Whole(tmp_path / "headrace", settings, store="postgresql://nobody:secret@127.0.0.1:1/none")
    told = headrace.refusal()
    assert "remedy" in told
    assert "secret" not in told
    assert "Traceback" not in told


def test_a_store_with_history_of_a_crash_in_the_middle_of_its_migration_starts(
    settings: str, tmp_path: Path, standalone_postgres: PostgresApart
) -> None:
    with database(standalone_postgres) as store:
        headrace = Whole(tmp_path / "headrace", settings, store=store.dsn)
        try:
            for pause_s in (0.5, 0.8, 1.1, 1.4, 1.7, 2.0):
                headrace.launch()
                time.sleep(pause_s)
                headrace.kill()
            headrace.start().settle()
            with psycopg.connect(store.dsn) as connection:
                assert connection.execute("select count(*) from document_versions").fetchone() == (2,)
        finally:
            headrace.close()


def test_it_stops_while_its_engine_fails_over_and_over(
    airline: Database, settings: str, tmp_path: Path, standalone_postgres: PostgresApart
) -> None:
    with database(standalone_postgres) as store, whole(tmp_path / "headrace", settings, store=store.dsn) as headrace:
        headrace.settle()
        store.run("alter table log_sources rename to log_sources_lost")
        airline.run("update flights set status = 'on time'")
        until(lambda: headrace.output.read_text().count("the engine stopped") >= 2, "it fails", headrace.told)

        assert headrace.stop() == 0

        store.run("alter table log_sources_lost rename to log_sources")
        headrace.start().settle()
        assert "Flight HAT1 is on time" in headrace.texts("flight")
        assert headrace.stop() == 0
