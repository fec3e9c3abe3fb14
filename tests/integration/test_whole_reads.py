"""What readers of a running Headrace see while everything changes: whole documents and transactions, their writes."""

from __future__ import annotations

import contextlib
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.servers import PostgresApart
from tests.whole import Database, Refused, Whole, database, until, whole

TABLES = (
    "create table flights (flight text primary key, status text not null)",
    "create table notices (notice int primary key, subject text not null)",
    "create table users (user_id int primary key, email text not null, name text not null)",
    "create table bookings (booking int primary key, user_id int not null, amount int not null)",
)
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
[[knowledge.rows]]
table = "airline.public.notices"
text = "Notice {{{{notice}}}}: {{{{subject}}}}"
[[profiles.records]]
table = "airline.public.users"
identifiers = {{ user_id = "user_id", email = "email" }}
fields = {{ name = "name", email = "email" }}
[[profiles.facts]]
table = "airline.public.bookings"
belongs_to = {{ user_id = "user_id" }}
order_by = "booking"
keep = 10
aggregates = {{ bookings = "count(*)", spent = "sum(amount)" }}
"""
MIA = "email:mia@example.com"


@pytest.fixture(scope="module")
def airline(debian_postgres: PostgresApart) -> Iterator[Database]:
    with database(debian_postgres, *TABLES) as made:
        yield made


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("policies")


@pytest.fixture(scope="module")
def headrace(airline: Database, policies: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    folder = tmp_path_factory.mktemp("headrace")
    with whole(folder, SETTINGS.format(dsn=airline.dsn, folder=policies)) as running:
        yield running


@pytest.fixture(autouse=True)
def emptied(airline: Database, policies: Path) -> None:
    airline.together("truncate flights, notices, users, bookings")
    for file in policies.iterdir():
        file.unlink()


def save(file: Path, text: str) -> None:
    """As an editor does: whole, in one moment."""
    fresh = file.with_name(f".{file.name}.tmp")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)


class Readers:
    """Threads that look again and again until the end of the block; what one finds wrong is raised there."""

    def __init__(self, *looks: Callable[[], None]) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._look, args=(look,)) for look in looks]
        self._failures: list[BaseException] = []
        self.looked = 0

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
        if self._failures:
            raise self._failures[0]

    def _look(self, look: Callable[[], None]) -> None:
        try:
            while not self._stop.is_set():
                look()
                self.looked += 1
                time.sleep(0.01)  # leave a small machine some time for what is looked at
        except BaseException as failure:  # noqa: BLE001 - raised in the test's own thread
            self._failures.append(failure)


# ---- whole documents -------------------------------------------------------------------------------------------------


def baggage(version: int) -> str:
    """Ten chunks where the version is even, three where it is odd; every chunk says its version."""
    parts = [
        f"## Baggage rule {n}\n\n" + f"Rule {n} of version{version} weighs bags. " * 16 for n in range(chunks(version))
    ]
    return "\n\n".join(parts)


def chunks(version: int) -> int:
    return 3 if version % 2 else 10


def one_version(texts: list[str]) -> int:
    """The version that all of these are of, with all of its chunks."""
    versions = {int(n) for text in texts for n in re.findall(r"version(\d+)", text)}
    assert len(versions) == 1, f"{len(texts)} chunks of versions {versions}"
    (version,) = versions
    assert len(texts) == chunks(version), f"{len(texts)} chunks of version {version}"
    return version


def test_a_document_going_from_ten_chunks_to_three_is_never_seen_mixed_or_gone(headrace: Whole, policies: Path) -> None:
    save(policies / "other.md", "# Meals\n\nMeals are served on board.")
    save(policies / "baggage.md", baggage(0))
    headrace.settle()
    seen: set[int] = set()

    def by_id() -> None:
        document = headrace.document("policies/baggage.md")
        assert document is not None
        version = one_version([c["text"] for c in document["chunks"]])
        assert f"version{version}" in document["text"]
        assert all(c["text"] == document["text"][c["start"] : c["end"]] for c in document["chunks"])
        seen.add(version)

    def by_search() -> None:
        only = {"document_prefix": "policies/baggage"}
        seen.add(one_version(headrace.texts("baggage rule weighs", k=30, filter=only)))

    def by_list() -> None:
        listed = headrace.documents(source="policies")["policies/baggage.md"]
        assert listed["chunks"] in (3, 10)

    with Readers(by_id, by_search, by_search, by_list):
        for version in range(1, 25):
            save(policies / "baggage.md", baggage(version))
            if version % 4:
                headrace.settle()
    assert (
        one_version([c["text"] for c in headrace.document("policies/baggage.md", after=headrace.token())["chunks"]])
        == 24
    )
    assert len(seen) >= 10


# ---- deletes under a backlog -----------------------------------------------------------------------------------------


QUEUED = 1200


def embedded(headrace: Whole) -> int:
    """How many documents there are by now."""
    return headrace.get("/v1/status")["documents"]["total"]


def knowledge_lag(headrace: Whole) -> int:
    operators = headrace.get("/v1/status")["operators"]
    return next(o["lag"]["changes"] for o in operators if (o["name"], o["source"]) == ("knowledge", "airline"))


def test_deletes_overtake_a_backlog_and_what_is_embedded_late_does_not_come_back(
    headrace: Whole, airline: Database
) -> None:
    airline.run("insert into flights values ('OLD', 'an old aeroplane'), ('KEPT', 'a kept aeroplane')")
    airline.run("insert into notices values (1, 'an old notice')")
    headrace.settle()
    assert headrace.document("airline/public.flights/OLD") is not None
    assert headrace.document("airline/public.notices/1") is not None

    late, reborn = f"NEW{QUEUED}", f"NEW{QUEUED - 1}"
    long = "delayed by weather over the mountains and the sea, with ' || md5(n::text) || ' to report. "
    airline.run(f"insert into flights select 'NEW' || n, '{long * 2}' from generate_series(1, {QUEUED}) n")
    until(lambda: knowledge_lag(headrace) >= QUEUED, "a backlog")
    airline.together(
        f"delete from flights where flight in ('OLD', '{late}', '{reborn}')",
        f"insert into flights values ('{reborn}', 'reborn')",
        "truncate notices",
    )

    gone = ("airline/public.flights/OLD", "airline/public.notices/1")
    until(lambda: not any(headrace.document(id) for id in gone), "the deleted documents are gone", pause_s=0.01)
    done = embedded(headrace)
    assert done < QUEUED / 2, f"gone only when {done} of {QUEUED} were embedded"

    while knowledge_lag(headrace):
        assert headrace.document(f"airline/public.flights/{late}") is None
        found = {r["document"] for r in headrace.search("an old aeroplane notice", k=20)["results"]}
        assert not found & {*gone, f"airline/public.flights/{late}"}
        time.sleep(0.2)
    token = headrace.settle()
    assert [headrace.document(id, after=token) for id in gone] == [None, None]
    assert headrace.document(f"airline/public.flights/{late}") is None
    assert headrace.document(f"airline/public.flights/{reborn}")["text"] == f"Flight {reborn} is reborn"
    assert len(headrace.documents(source="airline")) == QUEUED


# ---- whole transactions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bookings", [2, 700])
def test_a_transaction_over_several_tables_is_never_seen_half(
    headrace: Whole, airline: Database, bookings: int
) -> None:
    airline.run("insert into users values (1, 'mia@example.com', 'version 1')")
    airline.run(f"insert into bookings select n, 1, 1 from generate_series(1, {bookings}) n")
    headrace.settle()
    seen: set[int] = set()

    def look() -> None:
        profile = headrace.profile(MIA)
        version = int(profile["fields"]["name"].split()[1])
        assert {f["fields"]["amount"] for f in profile["facts"]} == {version}
        assert profile["aggregates"] == {"bookings": bookings, "spent": bookings * version}
        seen.add(version)

    with Readers(look, look, look):
        for version in range(2, 20):
            airline.together(
                f"update users set name = 'version {version}' where user_id = 1",
                f"update bookings set amount = {version}",
            )
            headrace.settle()
    assert len(seen) > 5


# ---- reading one's own writes ----------------------------------------------------------------------------------------


def test_after_a_commit_its_token_shows_it_on_every_surface(headrace: Whole, airline: Database, policies: Path) -> None:
    for n in range(40):
        save(policies / "rule.md", f"# Rule\n\nThe secret word is parrot{n}.")
        airline.together(
            f"insert into flights values ('F{n}', 'boarding penguin{n}')",
            f"delete from flights where flight = 'F{n - 2}'",
            "delete from users",
            f"insert into users values ({n}, 'mia{n}@example.com', 'Mia {n}')",
            f"insert into bookings values ({n}, {n}, {n})",
        )
        # By an own LSN, as a client has it that never asks for tokens, or by a token.
        after = f"airline@{airline.lsn()}" if n % 2 else headrace.token()
        shown = Shown(headrace, after)
        if n % 2 == 0:
            assert any(f"parrot{n}." in text for text in headrace.texts("secret word", k=5, **shown.body))
            assert f"parrot{n}." in headrace.document("policies/rule.md", **shown.params)["text"]
        surfaces = [shown.row, shown.found, shown.listed, shown.person, shown.people, shown.asked]
        random.Random(n).shuffle(surfaces)  # whichever comes first is the one that waits
        for surface in surfaces:
            assert surface(n), (n, surface)


class Shown:
    """Whether one commit is shown."""

    def __init__(self, headrace: Whole, after: str) -> None:
        self._headrace = headrace
        self.params: dict[str, str | int] = {"after": after, "wait_ms": 60_000}
        self.body: dict[str, object] = dict(self.params)

    def row(self, n: int) -> bool:
        there = self._headrace.document(f"airline/public.flights/F{n}", **self.params)
        return there is not None and self._headrace.document(f"airline/public.flights/F{n - 2}", **self.params) is None

    def found(self, n: int) -> bool:
        texts = self._headrace.texts(f"boarding penguin{n}", k=3, **self.body)
        return f"Flight F{n} is boarding penguin{n}" in texts and not any(f"penguin{n - 2}" == t[-8:] for t in texts)

    def listed(self, n: int) -> bool:
        flights = {id for id in self._headrace.documents(source="airline", **self.params) if "flights" in id}
        return flights == {f"airline/public.flights/F{i}" for i in (n - 1, n) if i >= 0}

    def person(self, n: int) -> bool:
        mia = self._headrace.profile(f"email:Mia{n}@Example.com", **self.params)
        return mia is not None and mia["fields"]["name"] == f"Mia {n}" and mia["aggregates"]["spent"] == n

    def people(self, n: int) -> bool:
        profiles = self._headrace.profiles(**self.params)
        return [p["fields"]["name"] for p in profiles.values()] == [f"Mia {n}"]

    def asked(self, n: int) -> bool:
        question = {"question": f"What is the status of flight F{n}?", "user": f"email:mia{n}@example.com"}
        answer = self._headrace.post("/v1/ask", {**question, **self.body})
        return f"penguin{n}" in answer["answer"]


def test_what_is_not_yet_applied_is_refused_naming_what_lags(headrace: Whole, airline: Database) -> None:
    airline.run("insert into users values (1, 'mia@example.com', 'Mia')")
    headrace.settle()
    with psycopg.connect(headrace.store) as store:
        store.execute("lock table operator_progress in exclusive mode")  # no operator gets on while this stands
        airline.run("insert into flights values ('HAT1', 'late')", "update users set name = 'Late'")
        after = f"airline@{airline.lsn()}"
        for wait_ms in (0, 300):
            refused(lambda w=wait_ms: headrace.search("late", after=after, wait_ms=w), "knowledge", after)
            refused(lambda w=wait_ms: headrace.profile(MIA, after=after, wait_ms=w), "profiles", after)
        refused(lambda: headrace.search("late", after=headrace.token(), wait_ms=0), "knowledge", "")
        assert headrace.search("late", k=1)  # who does not ask for it is answered from what is there
    assert "Flight HAT1 is late" in headrace.texts("late", after=after, wait_ms=60_000)
    assert headrace.profile(MIA, after=after, wait_ms=60_000)["fields"]["name"] == "Late"


def refused(ask: Callable[[], object], operator: str, after: str) -> None:
    with pytest.raises(Refused) as told:
        ask()
    assert told.value.status == 409
    problem = told.value.problem
    assert operator in problem["got"]
    assert "airline" in problem["got"]
    assert after.partition("@")[2] in problem["got"]
    assert problem["step"]
    assert problem["remedy"]


@pytest.mark.parametrize("token", ["h1.%%%", "airline", "nowhere@1", "h1." + "A" * 40, "airline@0/ZZ"])
def test_a_token_that_is_none_is_refused(headrace: Whole, token: str) -> None:
    with pytest.raises(Refused) as told:
        headrace.search("x", after=token)
    assert told.value.status == 400
    assert "token" in told.value.problem["step"] or "position" in told.value.problem["step"]


# ---- reading the past ------------------------------------------------------------------------------------------------

QUERIES = ("flight delayed", "notice of a strike", "baggage rule weighs", "Mia")


def seen(headrace: Whole, **params: Any) -> dict[str, Any]:
    """What every surface answers, without ages and tokens."""
    answered: dict[str, Any] = {}
    for query in QUERIES:
        answered[query] = steady(headrace.search(query, k=8, **params)["results"])
    answered["filtered"] = steady(headrace.search("rule", k=8, filter={"source": "policies"}, **params)["results"])
    answered["documents"] = steady(list(headrace.documents(**params).values()))
    answered["texts"] = [steady(headrace.document(id, **params)) for id in headrace.documents(**params)]
    answered["profiles"] = steady(list(headrace.profiles(**params).values()))
    return answered


_MOVING = {"age_ms", "token", "freshness_ms", "freshness_reason"}


def steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: steady(v) for k, v in value.items() if k not in _MOVING}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list):
        return [steady(v) for v in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def test_as_of_a_token_or_time_shows_exactly_what_was_seen_then(
    headrace: Whole, airline: Database, policies: Path
) -> None:
    moments: list[tuple[str, str, dict[str, Any]]] = []

    def remember() -> None:
        headrace.settle()
        now = str(
            airline.rows("select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.USZ')")[0][0]
        )
        time.sleep(0.02)
        answer = headrace.search("flight", k=3)
        moments.append((answer["token"], now, seen(headrace)))

    remember()  # nothing there
    airline.together(
        "insert into users values (1, 'mia@example.com', 'Mia'), (2, 'ada@example.com', 'Ada')",
        "insert into bookings select n, 1 + n % 2, n from generate_series(1, 30) n",
        "insert into flights select 'HAT' || n, 'delayed by ' || n || ' minutes' from generate_series(1, 40) n",
        "insert into notices select n, 'strike ' || n from generate_series(1, 5) n",
    )
    save(policies / "baggage.md", baggage(0))
    save(policies / "meals.md", "# Meals\n\nA rule of meals.")
    remember()
    airline.together(
        "update flights set status = 'on time' where flight like 'HAT1%'", "update bookings set amount = 7"
    )
    save(policies / "baggage.md", baggage(1))
    remember()
    airline.together(
        "delete from flights where flight like 'HAT2%'", "delete from users where user_id = 2", "truncate notices"
    )
    (policies / "meals.md").rename(policies / "food.md")
    remember()
    airline.together(
        "update flights set flight = 'RENAMED' where flight = 'HAT3'",
        "update users set user_id = 9, email = 'ada@example.com' where user_id = 1",
        "insert into notices values (1, 'strike again')",
        "truncate bookings",
    )
    (policies / "baggage.md").unlink()
    remember()
    airline.run(
        "insert into flights values ('HAT2', 'back')", "insert into users values (1, 'mia@example.com', 'Mia B')"
    )
    remember()
    airline.run("truncate flights, notices, users, bookings")

    headrace.settle()
    for n, (token, at, then) in enumerate(moments):
        assert seen(headrace, as_of=token) == then, f"by the token of moment {n}"
        assert seen(headrace, as_of=at) == then, f"by the time of moment {n}"
    assert len({str(then) for _, _, then in moments}) == len(moments)


def test_as_of_a_token_taken_in_the_middle_of_changes_shows_what_that_answer_saw(
    headrace: Whole, airline: Database, policies: Path
) -> None:
    """Also while deletes overtake, and when the two operators stand at different places."""
    airline.run("insert into users values (1, 'mia@example.com', 'Mia')")
    airline.run("insert into flights select 'HAT' || n, 'delayed by ' || n from generate_series(1, 60) n")
    headrace.settle()
    answers: list[tuple[str, str, Any]] = []
    stop = threading.Event()
    writer = threading.Thread(target=churn, args=(airline.dsn, policies, stop))
    writer.start()
    try:
        for n in range(60):
            query = QUERIES[n % len(QUERIES)]
            found = headrace.search(query, k=6)
            answers.append((found["token"], query, steady(found["results"])))
            profile = headrace.profile(MIA)
            answers.append((profile["token"], "", steady(profile)))
    finally:
        stop.set()
        writer.join(60)
    headrace.settle()
    for token, query, then in answers:
        if query:
            assert steady(headrace.search(query, k=6, as_of=token)["results"]) == then
        else:
            assert steady(headrace.profile(MIA, as_of=token)) == then
    assert len({str(then) for _, _, then in answers}) > 20


def churn(dsn: str, policies: Path, stop: threading.Event) -> None:
    chance = random.Random(6)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for n in range(1_000_000):
            if stop.is_set():
                return
            flight = f"HAT{chance.randrange(60)}"
            connection.execute("delete from flights where flight = %s", [flight])
            connection.execute(
                "insert into flights values (%s, %s) on conflict do nothing", [flight, f"delayed by {n}"]
            )
            connection.execute("insert into bookings values (%s, 1, %s)", [n, n])
            connection.execute("delete from bookings where booking = %s", [n - chance.randrange(5)])
            if n % 7 == 0:
                save(policies / "baggage.md", baggage(n))
            if n % 20 == 10:
                with contextlib.suppress(FileNotFoundError):
                    (policies / "baggage.md").unlink()
            if n % 50 == 25:
                many = chance.sample(range(60), 40)
                connection.execute(
                    "update flights set status = status || ' or more' where flight = any(%s)",
                    [[f"HAT{m}" for m in many]],
                )
            time.sleep(0.01)


def test_an_answer_from_the_past_does_not_call_itself_fresh(headrace: Whole, airline: Database) -> None:
    airline.run("insert into flights values ('HAT1', 'old')")
    headrace.settle()
    then = headrace.search("flight")["token"]
    airline.run("update flights set status = 'new'")
    committed = time.time()
    headrace.settle()
    time.sleep(0.3)
    answer = headrace.search("flight HAT1", as_of=then)
    assert answer["results"][0]["text"] == "Flight HAT1 is old"
    missing_for_ms = (time.time() - committed) * 1000 - 100
    assert answer["freshness_ms"] is None or answer["freshness_ms"] >= missing_for_ms
