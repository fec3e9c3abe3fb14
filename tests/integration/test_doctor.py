"""`headrace doctor`: each problem is found before use, with its remedy; what is in order is said too."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from headrace.clock import now_us
from headrace.config import Config
from headrace.config.sections import Main, Server
from headrace.config.sources import SourceEntry
from headrace.diagnosis import examine
from headrace.errors import ConfigError
from headrace.findings import Finding, Level
from headrace.sources import SourceSettings
from headrace.sources.files import doctor as files_doctor
from headrace.sources.postgres import doctor as postgres_doctor
from headrace.sources.push import doctor as push_doctor
from headrace.stores.embedded import binaries
from headrace.stores.migrate import inspect
from tests.captured_database import NAME, CapturedDatabase
from tests.servers import SETTINGS, FreshDatabases, PostgresApart, free_port
from tests.whole import Whole, database, until


@pytest_asyncio.fixture(params=["embedded", "debian_postgres"])
async def captured(request: pytest.FixtureRequest, fresh_database: FreshDatabases) -> AsyncIterator[CapturedDatabase]:
    server = None if request.param == "embedded" else request.getfixturevalue(request.param)
    made = await CapturedDatabase.connect(await fresh_database(server))
    yield made
    await made.close()


async def findings(
    database: CapturedDatabase, *, url: str = "", tables: tuple[str, ...] = ("public.*",), **options: str
) -> dict[str, Finding]:
    settings = SourceSettings(NAME, url or database.dsn, database.id, tables=tables, options=options)
    found = await postgres_doctor.check(settings)
    for finding in found:
        assert finding.problem == bool(finding.remedy), finding
    return {f.check: f for f in found}


def problems(found: dict[str, Finding]) -> dict[str, Level]:
    return {f.check: f.level for f in found.values() if f.problem and not f.check.startswith("slot headrace_")}


async def test_a_source_in_order(captured: CapturedDatabase) -> None:
    await captured.sql("create table t(id int primary key)")
    new = await findings(captured)
    await captured.capture()
    used = await findings(captured)

    assert problems(new) == problems(used) == {}
    assert "will be made" in new["slot"].got
    assert captured.slot in used["slot"].got
    assert "1 of 1" in used["tables"].got
    assert "no limit" in used["max_slot_wal_keep_size"].got
    assert "ms of this machine's" in used["clock"].got
    # and looking has changed nothing
    assert len(await captured.query("select 1 from pg_replication_slots where database = current_database()")) == 1


async def test_tables_that_cannot_be_captured(captured: CapturedDatabase) -> None:
    await captured.sql(
        "create table heap(v text)", "create table quiet(id int primary key)",
        "alter table quiet replica identity nothing", "create unlogged table fast(id int primary key)",
        "create table fine(id int primary key)",
    )  # fmt: skip
    found = await findings(captured)

    tables = ("table public.heap", "table public.quiet", "table public.fast")
    assert problems(found) == dict.fromkeys(tables, Level.ERROR)
    assert "ALTER TABLE" in found["table public.heap"].remedy
    assert "1 of 4" in found["tables"].got

    none = await findings(captured, tables=("public.nothing",))
    assert none["tables"].level is Level.ERROR
    assert "patterns" in none["tables"].remedy


async def test_slots_that_nobody_reads_and_slots_that_are_missing(captured: CapturedDatabase) -> None:
    abandoned = f"headrace_gone_{captured.id}"
    await captured.sql(
        "create table t(id int primary key)", f"select pg_create_logical_replication_slot('{abandoned}', 'pgoutput')"
    )
    found = await findings(captured, slot="no_such_slot", publication="no_such")

    assert found[f"slot {abandoned}"].level is Level.WARNING
    assert f"pg_drop_replication_slot('{abandoned}')" in found[f"slot {abandoned}"].remedy
    assert problems(found) == {"slot": Level.ERROR, "publication": Level.ERROR}
    assert "pg_create_logical_replication_slot('no_such_slot'" in found["slot"].remedy
    assert "CREATE PUBLICATION no_such" in found["publication"].remedy


async def test_a_user_without_privileges(debian_postgres: PostgresApart) -> None:
    database = await CapturedDatabase.connect(debian_postgres.dsn())
    role = f"plain_{database.id}"
    await database.sql(f"create role {role} login password 'geheim'", "create table mine(id int primary key)")
    try:
        url = f"postgresql://{role}:geheim@127.0.0.1:{debian_postgres.port}/postgres"
        found = await findings(database, url=url)

        assert problems(found) == {
            "privileges": Level.ERROR, "publication": Level.ERROR, "table public.mine": Level.ERROR,
            "replication session": Level.ERROR,
        }  # fmt: skip
        assert "REPLICATION" in found["privileges"].remedy
        assert "GRANT CREATE ON DATABASE" in found["publication"].remedy
        assert "geheim" not in repr(found)
    finally:
        await database.sql(f"drop role {role}", "drop table mine")
        await database.close()


async def test_a_server_that_is_not_there_or_lets_nobody_in(captured: CapturedDatabase) -> None:
    nobody = await findings(captured, url=f"postgresql://me:geheim@127.0.0.1:{free_port()}/x")
    assert list(nobody) == ["connection"]
    assert "reachable" in nobody["connection"].remedy
    assert "geheim" not in repr(nobody)

    missing = await findings(captured, url=captured.dsn.replace("test_", "no_such_", 1))
    assert "does not exist" in missing["connection"].got


async def test_settings_of_the_server(postgres_apart: PostgresApart, monkeypatch: pytest.MonkeyPatch) -> None:
    database = await CapturedDatabase.connect(postgres_apart.dsn())
    await database.sql("create table t(id int primary key)")
    await database.capture()
    # given a slot that is lost to a limit
    await database.sql(
        "alter system set max_slot_wal_keep_size = '1MB'", "alter system set min_wal_size = '32MB'",
        "alter system set max_wal_size = '32MB'", "select pg_reload_conf()",
    )  # fmt: skip
    for _ in range(6):
        await database.sql("select pg_logical_emit_message(false, 'x', repeat('x', 4000000))", "select pg_switch_wal()")
    await database.sql("checkpoint")
    lost = await findings(database)
    assert problems(lost) == {"slot": Level.ERROR}
    assert "wal_status = lost" in lost["slot"].got
    assert "1 MB" in lost["max_slot_wal_keep_size"].got

    # and a server without logical WAL, without room
    await database.sql(f"select pg_drop_replication_slot('{database.slot}')")
    await database.connection.close()
    postgres_apart.stop()
    monkeypatch.setitem(SETTINGS, "wal_level", "replica")
    monkeypatch.setitem(SETTINGS, "max_replication_slots", "0")
    monkeypatch.setitem(SETTINGS, "max_wal_senders", "0")
    postgres_apart.start()
    found = await findings(database)
    assert found["wal_level"].got == "wal_level = replica"
    assert "wal_level = 'logical'" in found["wal_level"].remedy
    assert {"wal_level", "replication slots", "WAL senders", "replication session"} == set(problems(found))
    await database.close()


async def test_much_wal_and_a_slot_that_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETTINGS, "idle_replication_slot_timeout", "1h")
    server = PostgresApart(binaries.readable_by_all(binaries.find()).bin, "nobody")
    try:
        database = await CapturedDatabase.connect(server.dsn())
        await database.sql("create table t(id int primary key)")
        await database.capture()
        for _ in range(3):
            await database.sql("select pg_logical_emit_message(false, 'x', repeat('x', 4000000))")
        found = await findings(database, max_retained="16MB")

        assert problems(found) == {"slot": Level.WARNING, "idle_replication_slot_timeout": Level.WARNING}
        assert "nobody reads it" in found["slot"].got
        await database.close()
    finally:
        server.remove()


async def test_a_clock_that_is_off(captured: CapturedDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    await captured.sql("create table t(id int primary key)")
    monkeypatch.setattr(postgres_doctor, "now_us", lambda: now_us() + 90_000_000)

    found = await findings(captured)

    assert problems(found) == {"clock": Level.WARNING}
    assert "s behind" in found["clock"].got
    assert "NTP" in found["clock"].remedy


async def folder_findings(url: str, **settings: Any) -> dict[str, Finding]:
    return {f.check: f for f in await files_doctor.check(SourceSettings("docs", url, "id", **settings))}


async def test_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.md").write_text("a")
    (folder / "sub" / "large.md").write_text("x" * 2000)
    (folder / "link.md").symlink_to(folder / "a.md")
    (folder / "sub" / "out.md").symlink_to(tmp_path)
    (folder / "dead.md").symlink_to(folder / "none.md")
    (folder / ".hidden").write_text("x")
    (folder / os.fsdecode(b"\xff.md")).write_text("x")
    limits = tmp_path / "inotify"
    limits.mkdir()
    monkeypatch.setattr(files_doctor, "_INOTIFY", limits)

    (limits / "max_user_watches").write_text("1000")
    found = await folder_findings(folder.as_uri(), max_bytes=1000)
    assert found["documents"].got.startswith("3 documents")
    assert found["links"].got == "3, which are not followed; out of the folder lead: sub/out.md"
    assert found["file system"].level is Level.OK
    assert {c: f.level for c, f in found.items() if f.problem} == {"sizes": Level.WARNING, "names": Level.WARNING}
    assert "sub/large.md" in found["sizes"].got

    (limits / "max_user_watches").write_text("1")
    found = await folder_findings(folder.as_uri())
    assert found["inotify"].level is Level.ERROR
    assert "sysctl" in found["inotify"].remedy

    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"40 1 0:38 / / rw - ext4 /dev/a rw\n41 40 0:39 / {tmp_path} rw shared:1 - nfs4 server:/ rw\n")
    monkeypatch.setattr(files_doctor, "_MOUNTS", mounts)
    found = await folder_findings(folder.as_uri())
    assert found["file system"].level is Level.WARNING
    assert found["file system"].got.startswith("nfs4")

    missing = await folder_findings((tmp_path / "none").as_uri())
    assert missing["folder"].level is Level.ERROR
    not_one = await folder_findings((folder / "a.md").as_uri())
    assert not_one["folder"].got == "something else"


async def push_findings(url: str, **settings: Any) -> dict[str, Finding]:
    return {f.check: f for f in await push_doctor.check(SourceSettings("crm", url, "id", **settings))}


async def test_what_is_pushed_to() -> None:
    fine = await push_findings("push:?keep=7d")
    assert not any(f.problem for f in fine.values())
    assert "7 days" in fine["repetitions"].got
    assert "/v1/changes/crm" in fine["way in"].got

    odd = await push_findings("push:?inbox=200000", tables=("public.*",), options={"slot": "s", "on_lag": "warn"})
    assert {c: f.level for c, f in odd.items() if f.problem} == {"inbox": Level.WARNING, "settings": Level.WARNING}
    assert odd["settings"].got == "tables, slot"
    with pytest.raises(ConfigError):
        await push_findings("push:?kept=7d")


async def test_from_where_it_is_reached(tmp_path: Path) -> None:
    main = Main(data=str(tmp_path))
    pushed = (SourceEntry(name="crm", url="push:"),)

    alone = await server_findings(Config(headrace=main, sources=[*pushed], server=Server(port=0)))
    open_to_all = await server_findings(Config(headrace=main, sources=[*pushed], server=Server(host="0.0.0.0", port=0)))
    without = await server_findings(Config(headrace=main, server=Server(port=0)))

    assert (alone["reach"].level, "crm" in alone["reach"].got) == (Level.NOTE, True)
    assert (open_to_all["reach"].level, "write into crm" in open_to_all["reach"].got) == (Level.WARNING, True)
    assert "reach" not in without


async def server_findings(config: Config) -> dict[str, Finding]:
    return {f.check: f for f in (await examine(config))["server"]}


async def test_a_store(standalone_postgres: PostgresApart, debian_postgres: PostgresApart, tmp_path: Path) -> None:
    there = {f.check: f for f in await inspect(standalone_postgres.dsn(), tmp_path)}
    without = {f.check: f for f in await inspect(debian_postgres.dsn(), tmp_path)}
    nobody = {f.check: f for f in await inspect(f"postgresql://me@127.0.0.1:{free_port()}/x", tmp_path)}

    assert not any(f.problem for f in there.values())
    assert [c for c, f in without.items() if f.problem] == ["pgvector"]
    assert "pgvector" in without["pgvector"].remedy
    assert [c for c, f in nobody.items() if f.problem] == ["connection"]


SOURCE = """
[[sources]]
name = "shop"
url = "{dsn}"
[[sources]]
name = "docs"
url = "file://{folder}"
"""


def test_the_command_and_up_tell_the_same(debian_postgres: PostgresApart, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    with database(debian_postgres, "create table fine(id int primary key)") as shop:
        headrace = Whole(tmp_path / "headrace", SOURCE.format(dsn=shop.dsn, folder=folder))
        try:
            with psycopg.connect(debian_postgres.dsn(), autocommit=True) as c:
                others = c.execute(
                    "select count(*) from pg_replication_slots where slot_name ~ '^headrace_'"
                ).fetchone()
            if others == (0,):
                assert headrace.command("doctor").code == 0

            # given a table that cannot be captured
            shop.run("create table heap(v text)")
            told = headrace.command("doctor", "--json")
            assert told.code == 1
            assert '"subject": "source shop"' in told.out
            plain = headrace.command("doctor")
            assert plain.code == 1
            assert "table public.heap: none: to publish the table" in plain.out
            assert "REPLICA IDENTITY FULL" in plain.out

            # when it starts all the same, it says so, and the rest works
            headrace.start()
            until(lambda: "shop: table public.heap" in headrace.told(), "up tells it", headrace.told)
            shop.run("insert into fine values (1)")
            headrace.settle()
            running = headrace.command("doctor")
            assert f"answers at http://127.0.0.1:{headrace.port}" in running.out
            assert "being read" in running.out
        finally:
            headrace.close()

        # and a port, a store and a model that are not to be had
        headrace.configure(SOURCE.format(dsn=shop.dsn, folder=folder) + '[models]\nembedding = "onnx:/none"\n')
        broken = headrace.command("doctor")
        assert broken.code == 1
        assert "model.onnx" in broken.out
