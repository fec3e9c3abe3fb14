"""Bad input costs what is bad, says so in words that help, and nothing else: everything else goes on."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from tests.embedded import as_root, on_linux
from tests.servers import PostgresApart, missing
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
text = "Flight {{{{flight}}}} costs {{{{price {template}}}}}"
[[profiles.records]]
table = "airline.public.users"
identifiers = {{ email = "email" }}
fields = {{ name = "name" }}
[[profiles.facts]]
table = "airline.public.bookings"
belongs_to = {{ email = "email" }}
text = "Booked for {{{{amount {template}}}}}"
"""
TABLES = (
    "create table flights (flight text primary key, price text not null)",
    "create table users (user_id int primary key, email text not null, name text not null)",
    "create table bookings (booking int primary key, email text not null, amount text not null)",
)


def with_settings(source: Database, folder: Path, template: str = "| money") -> str:
    return SETTINGS.format(dsn=source.dsn, folder=folder, template=template)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "documents"
    made.mkdir()
    (made / "good.md").write_text("# Good\n\nA good document.")
    return made


@pytest.fixture
def airline(debian_postgres: PostgresApart) -> Iterator[Database]:
    with database(debian_postgres, *TABLES) as made:
        made.run("insert into flights values ('GOOD', '100')", "insert into users values (1, 'mia@example.com', 'Mia')")
        yield made


def letter(headrace: Whole, topic: str, key: str) -> dict[str, Any]:
    """The open dead letter of one input, when it is there."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = [x for x in headrace.letters() if (x["topic"], x["key"]) == (topic, key)]
        return bool(found)

    until(there, f"a dead letter of {topic} {key}", lambda: str(headrace.letters()) + headrace.told())
    assert len(found) == 1
    for field in ("step", "expected", "got", "remedy", "position", "operator", "at"):
        assert found[0][field], f"{field} is empty in {found[0]}"
    return found[0]


def settled(headrace: Whole, id: int) -> None:
    """A letter is no longer open, and is still there for who looks back."""
    until(
        lambda: id not in {x["id"] for x in headrace.letters()},
        f"letter {id} is settled",
        lambda: str(headrace.letters()),
    )
    assert next(x for x in headrace.letters(all="true") if x["id"] == id)["resolved_at"]


def retried(headrace: Whole, id: int) -> object:
    """Whether that settled the letter, or the status of a refusal."""
    try:
        return headrace.post(f"/v1/deadletters/{id}/retry")["settled"]
    except Refused as refused:
        return refused.status


def still_goes_on(headrace: Whole, source: Database, folder: Path) -> None:
    """New rows, files and profiles come through."""
    mark = secrets.token_hex(4)
    source.run(f"insert into flights values ('{mark}', '100')", f"update users set name = 'Mia {mark}'")
    (folder / "going-on.md").write_text(f"# Going on\n\nThe mark is {mark}.")
    headrace.settle()
    assert headrace.document(f"airline/public.flights/{mark}")["text"] == f"Flight {mark} costs $100"
    assert mark in headrace.document("policies/going-on.md")["text"]
    assert headrace.profile("email:mia@example.com")["fields"]["name"] == f"Mia {mark}"


def test_a_file_that_is_not_utf8_is_told_and_settled_by_its_next_version(
    airline: Database, folder: Path, tmp_path: Path
) -> None:
    (folder / "bad.md").write_bytes(b"# Bad\n\nIt was \xff before.")
    with whole(tmp_path / "headrace", with_settings(airline, folder)) as headrace:
        bad = letter(headrace, "policies", "bad.md")
        assert bad["operator"] == "knowledge"
        assert "UTF-8" in bad["expected"]
        assert "0xff at offset 14" in bad["got"]
        shown = headrace.documents(source="policies")
        assert shown["policies/bad.md"]["stage"] == "failed"
        assert shown["policies/bad.md"]["error"]["step"] == bad["step"]
        assert shown["policies/good.md"]["stage"] == "ready"
        assert headrace.post(f"/v1/deadletters/{bad['id']}/retry")["settled"] is False
        assert letter(headrace, "policies", "bad.md")["attempts"] == 2
        still_goes_on(headrace, airline, folder)

        (folder / "bad.md").write_text("# Bad\n\nIt is mended.")
        settled(headrace, bad["id"])
        assert headrace.documents(source="policies")["policies/bad.md"]["stage"] == "ready"
        assert "It is mended." in headrace.texts("mended", k=1)[0]

        (folder / "good.md").write_bytes(b"\xfe")  # what was good is bad now: nothing old is served
        bad = letter(headrace, "policies", "good.md")
        assert not any("A good document." in t for t in headrace.texts("good document", k=20))
        (folder / "good.md").unlink()
        settled(headrace, bad["id"])
        assert headrace.document("policies/good.md", after=headrace.token()) is None


def test_a_file_of_two_hundred_megabytes_is_told_without_being_read(
    airline: Database, folder: Path, tmp_path: Path
) -> None:
    large = folder / "large.txt"
    with large.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    with whole(tmp_path / "headrace", with_settings(airline, folder)) as headrace:
        bad = letter(headrace, "policies", "large.txt")
        assert bad["operator"] == "capture"
        assert str(200 * 1024 * 1024) in bad["got"]
        assert "max_bytes" in bad["remedy"]
        assert headrace.post(f"/v1/deadletters/{bad['id']}/retry")["settled"] is False
        assert letter(headrace, "policies", "large.txt")["attempts"] == 2
        still_goes_on(headrace, airline, folder)
        assert memory_mb(headrace.pid) < 900

        large.write_text("It is small now.")
        settled(headrace, bad["id"])
        assert headrace.document("policies/large.txt", after=headrace.token())["text"] == "It is small now."


def memory_mb(pid: int) -> int:
    """The most that a process ever had in memory."""
    peak = next(line for line in Path(f"/proc/{pid}/status").read_text().split("\n") if line.startswith("VmHWM"))
    return int(peak.split()[1]) // 1024


def test_a_row_that_does_not_fit_its_template_is_told_retried_and_settled(
    airline: Database, folder: Path, tmp_path: Path
) -> None:
    airline.run(
        "insert into flights values ('BAD1', 'cheap'), ('BAD2', 'dear'), ('FINE', '7')",
        "insert into bookings values (1, 'mia@example.com', 'much'), (2, 'mia@example.com', '20')",
    )
    with whole(tmp_path / "headrace", with_settings(airline, folder)) as headrace:
        first = letter(headrace, "airline.public.flights", "BAD1")
        second = letter(headrace, "airline.public.flights", "BAD2")
        fact = letter(headrace, "airline.public.bookings", "1")
        assert "'cheap' is not an amount" in first["got"]
        assert (first["operator"], fact["operator"]) == ("knowledge", "profiles")
        assert headrace.document("airline/public.flights/FINE")["text"] == "Flight FINE costs $7"
        assert [f["text"] for f in headrace.profile("email:mia@example.com")["facts"]] == ["Booked for $20"]
        operators = headrace.get("/v1/status")["operators"]
        assert {(o["name"], o["source"]): o["dead_letters"] for o in operators} == {
            ("knowledge", "airline"): 2, ("profiles", "airline"): 1,
            ("knowledge", "policies"): 0, ("profiles", "policies"): 0,
        }  # fmt: skip
        airline.run("update flights set price = '250' where flight = 'BAD1'")  # a good change settles it
        settled(headrace, first["id"])
        assert (
            headrace.document("airline/public.flights/BAD1", after=headrace.token())["text"] == "Flight BAD1 costs $250"
        )
        still_goes_on(headrace, airline, folder)

        assert headrace.stop() == 0
        headrace.configure(with_settings(airline, folder, template=""))  # the template is mended
        headrace.start()
        assert headrace.post(f"/v1/deadletters/{fact['id']}/retry")["settled"] is True
        # What is made anew by the new template may have settled it already.
        assert retried(headrace, second["id"]) in (True, 404)
        settled(headrace, second["id"])
        settled(headrace, fact["id"])
        assert headrace.document("airline/public.flights/BAD2")["text"] == "Flight BAD2 costs dear"
        assert "Booked for much" in {f["text"] for f in headrace.profile("email:mia@example.com")["facts"]}
        assert headrace.letters() == []
        with pytest.raises(Refused) as told:
            headrace.post(f"/v1/deadletters/{second['id']}/retry")
        assert told.value.status == 404


def test_a_retry_does_not_bring_back_what_is_older_than_what_came_since(
    airline: Database, folder: Path, tmp_path: Path
) -> None:
    airline.run("insert into flights values ('BAD', 'cheap')")
    with whole(tmp_path / "headrace", with_settings(airline, folder)) as headrace:
        bad = letter(headrace, "airline.public.flights", "BAD")
        airline.run("delete from flights where flight = 'BAD'")
        settled(headrace, bad["id"])
        assert headrace.document("airline/public.flights/BAD") is None
        airline.run("insert into flights values ('BAD', 'dear')", "truncate flights")
        headrace.settle()
        assert headrace.letters() == []
        assert headrace.documents(source="airline") == {}


def test_a_table_without_a_primary_key_is_told_and_read_once_it_has_one(
    airline: Database, folder: Path, tmp_path: Path
) -> None:
    airline.run("create table keyless (n int)", "insert into keyless values (1), (1)")
    with whole(tmp_path / "headrace", with_settings(airline, folder)) as headrace:
        bad = letter(headrace, "airline.public.keyless", "")
        assert "primary key" in bad["expected"]
        assert "ALTER TABLE" in bad["remedy"]
        still_goes_on(headrace, airline, folder)
        assert airline.rows("update keyless set n = 2 returning n") == [(2,), (2,)]  # the application is not disturbed

        airline.run("alter table keyless add column id serial primary key")
        headrace.settle()  # what runs has read past it: the next start's token lies no further, yet promises the rows
        assert headrace.stop() == 0
        headrace.start().settle()
        settled(headrace, bad["id"])
        logged = headrace.lines("/v1/log/airline.public.keyless")
        assert [c["after"] for c in logged if c["op"] == "r"] == [{"n": 2, "id": 1}, {"n": 2, "id": 2}]


def test_a_slot_that_was_dropped_is_never_resumed_silently(airline: Database, folder: Path, tmp_path: Path) -> None:
    headrace = Whole(tmp_path / "headrace", with_settings(airline, folder))
    try:
        headrace.start().settle()
        assert headrace.stop() == 0
        dropped = airline.rows(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()"
        )
        assert len(dropped) == 1
        airline.run("insert into flights values ('LOST', '5')")
        headrace.start()
        until(lambda: headrace.source("airline")["state"] == "down", "the source is down", headrace.told)
        told = headrace.source("airline")["reason"]
        assert "slot" in told
        assert "missing" in told
        (folder / "other.md").write_text("# Other\n\nThe folder goes on.")
        until(lambda: headrace.document("policies/other.md") is not None, "the folder goes on")
        assert headrace.document("airline/public.flights/GOOD") is not None
        answer = headrace.search("flight")
        assert answer["freshness_ms"] is None
        assert "airline" in answer["freshness_reason"]
        with pytest.raises(Refused) as refused:  # nobody is told that it is there
            headrace.search("flight", after=f"airline@{airline.lsn()}", wait_ms=0)
        assert refused.value.status == 409
    finally:
        headrace.close()


def test_a_wrong_password_is_told_without_showing_any_and_picked_up_when_mended(
    airline: Database, folder: Path, tmp_path: Path, debian_postgres: PostgresApart
) -> None:
    role, password = f"reader_{secrets.token_hex(4)}", "wrong-" + secrets.token_hex(8)
    airline.connection.execute(sql.SQL("create role {} superuser login password 'other'").format(sql.Identifier(role)))
    wrong = airline.dsn.replace(f"postgres:{debian_postgres.password}@", f"{role}:{password}@")
    assert wrong != airline.dsn
    try:
        with whole(tmp_path / "headrace", with_settings(airline, folder).replace(airline.dsn, wrong)) as headrace:
            until(lambda: headrace.source("airline")["state"] == "down", "the source is down")
            until(lambda: "password" in headrace.source("airline")["reason"], "it says why")
            assert headrace.get("/v1/status")["status"] == "degraded"
            assert "A good document." in headrace.document("policies/good.md")["text"]
            once = headrace.command("status", "--json")
            assert password not in once.out + once.err + headrace.told() + str(headrace.get("/v1/status"))

            airline.connection.execute(
                sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(password))
            )
            until(lambda: headrace.document("airline/public.flights/GOOD") is not None, "it is read", headrace.told)
            still_goes_on(headrace, airline, folder)
            assert password not in headrace.told()
    finally:
        airline.connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", [role])
        airline.connection.execute(sql.SQL("drop owned by {0} cascade").format(sql.Identifier(role)))
        airline.connection.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


@as_root
@on_linux
def test_a_full_disk_is_told_and_everything_goes_on_when_there_is_room(
    airline: Database, folder: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400m", "headrace-test", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        missing(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    headrace = Whole(tmp_path / "headrace", with_settings(airline, folder), data=str(disk / "data"))
    try:
        headrace.start().settle()
        filler = disk / "filler"
        fill(filler)
        airline.run("insert into flights select n, repeat(md5(n::text), 400) from generate_series(1, 3000) n")
        told = told_of_full_disk(headrace)
        assert "No space left" in told or "full" in told
        assert headrace.running

        filler.unlink()
        airline.run("delete from flights where flight <> 'GOOD'", "insert into flights values ('LAST', '1')")
        headrace.ready()
        headrace.settle()
        flights = {id for id in headrace.documents(source="airline") if "flights" in id}
        assert flights == {"airline/public.flights/GOOD", "airline/public.flights/LAST"}
        still_goes_on(headrace, airline, folder)
    finally:
        headrace.close()
        subprocess.run(["umount", "-l", str(disk)], check=False)
        shutil.rmtree(tmp_path / "headrace", ignore_errors=True)


def fill(file: Path) -> None:
    """Takes all the room that there is."""
    with file.open("wb") as filler:
        try:
            while True:
                os.write(filler.fileno(), bytes(1 << 20))
        except OSError as full:
            if full.errno != errno.ENOSPC:
                raise


def told_of_full_disk(headrace: Whole) -> str:
    """What the status says while the store cannot write."""
    told: list[str] = []

    def tells() -> bool:
        try:
            headrace.get("/v1/status")
        except Refused as refused:
            if refused.status != 503:
                raise
            told[:] = [str(refused.problem["got"])]
            return "No space left" in told[0] or "full" in told[0]
        return False

    until(tells, "the status tells of the full disk", headrace.told)
    return told[0]


def test_a_server_that_lets_nobody_in_does_not_keep_the_others_waiting(folder: Path, tmp_path: Path) -> None:
    settings = with_settings_of_nothing(folder)
    with whole(tmp_path / "headrace", settings) as headrace:
        until(lambda: headrace.document("policies/good.md") is not None, "the folder is read", headrace.told)
        down = headrace.source("airline")
        assert down["state"] == "down"
        assert "127.0.0.1:1/" in down["url"]
        ended = headrace.command("search", "good", "--json").json
        assert ended["freshness_ms"] is None


def with_settings_of_nothing(folder: Path) -> str:
    return SETTINGS.format(dsn="postgresql://nobody:secret@127.0.0.1:1/none", folder=folder, template="")
