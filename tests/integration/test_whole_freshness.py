"""`freshness_ms` is a promise: what was committed longer ago is never missing."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

from tests.servers import PostgresApart
from tests.whole import Database, database, until, whole

ASKS = 500
SHOWN = 50  # numbers, at least: questions alone may be over before much is written
SETTINGS = """
[[sources]]
name = "airline"
url = "{dsn}"
[[sources]]
name = "policies"
url = "file://{folder}"
[[knowledge.rows]]
table = "airline.public.counters"
text = "The counter shows row{{{{n}}}}"
"""


class Writer:
    """Counts up in a row and in a file, and remembers by when each number was committed for certain."""

    def __init__(self, source: Database, folder: Path) -> None:
        self._source = source
        self._folder = folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._failure: BaseException | None = None
        self.committed: dict[str, list[tuple[int, float]]] = {"row": [], "file": []}

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            n = 0
            while not self._stop.is_set():
                n += 1
                self._source.run(f"update counters set n = {n}")
                self.committed["row"].append((n, time.time()))
                fresh = self._folder / ".counter.tmp"
                fresh.write_text(f"The counter shows file{n}", encoding="utf-8")
                fresh.replace(self._folder / "counter.txt")
                self.committed["file"].append((n, time.time()))
                time.sleep((0.0, 0.002, 0.05, 0.3)[n % 4])
        except BaseException as failure:  # noqa: BLE001 - raised in the test's own thread
            self._failure = failure

    def missing_since(self, kind: str, shown: int) -> float | None:
        """When the first commit behind the one that is shown had certainly happened."""
        return next((at for n, at in self.committed[kind] if n > shown), None)


def test_nothing_older_than_the_bound_is_ever_missing(debian_postgres: PostgresApart, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    tables = "create table counters (id int primary key, n int)", "insert into counters values (1, 0)"
    with (
        database(debian_postgres, *tables) as source,
        whole(tmp_path / "headrace", SETTINGS.format(dsn=source.dsn, folder=folder)) as headrace,
        Writer(source, folder) as writer,
    ):
        until(lambda: len(headrace.texts("counter shows")) == 2, "both are found")
        headrace.settle()
        bounds: list[float] = []
        shown: set[str] = set()
        deadline = time.monotonic() + 120
        while len(bounds) < ASKS or len(shown) < SHOWN:
            assert time.monotonic() < deadline, f"{len(bounds)} questions were shown {len(shown)} numbers"
            asked = time.time()
            answer = headrace.search("counter shows", k=5)
            assert answer["freshness_ms"] is not None, answer["freshness_reason"]
            bounds.append(answer["freshness_ms"])
            missing_before = asked - answer["freshness_ms"] / 1000
            for kind in ("row", "file"):
                found = [int(n) for r in answer["results"] for n in re.findall(rf"{kind}(\d+)", r["text"])]
                assert len(found) == 1, answer
                shown.add(f"{kind}{found[0]}")
                since = writer.missing_since(kind, found[0])
                assert since is None or since >= missing_before, (
                    f"a {kind} committed {(asked - since) * 1000:.1f} ms before the question is missing from an answer"
                    f" that promises {answer['freshness_ms']} ms"
                )
            time.sleep(0.003)
    assert sorted(bounds)[len(bounds) // 2] < 5_000  # a bound that says nothing is none


def test_a_source_that_is_down_makes_freshness_unknown_until_it_is_back(
    postgres_apart: PostgresApart, tmp_path: Path
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.txt").write_text("The counter of the folder")
    tables = "create table counters (id int primary key, n int)", "insert into counters values (1, 1)"
    with (
        database(postgres_apart, *tables) as source,
        whole(tmp_path / "headrace", SETTINGS.format(dsn=source.dsn, folder=folder)) as headrace,
    ):
        headrace.settle()
        assert headrace.search("counter")["freshness_ms"] is not None
        postgres_apart.stop()

        def unknown() -> bool:
            answer = headrace.search("counter")
            assert len(answer["results"]) == 2  # what was known is still answered
            return answer["freshness_ms"] is None and "airline" in answer["freshness_reason"]

        until(unknown, "freshness is unknown", headrace.told)
        assert headrace.get("/v1/status")["status"] == "degraded"
        down = headrace.source("airline")
        assert down["state"] == "down"
        assert down["reason"]
        assert postgres_apart.password not in str(headrace.get("/v1/status"))
        (folder / "a.txt").write_text("The counter of the folder, changed meanwhile")
        until(lambda: any("meanwhile" in t for t in headrace.texts("counter")), "the other source goes on")

        postgres_apart.start()
        again = Database(source.dsn)
        again.run("update counters set n = 2")
        until(lambda: any("row2" in t for t in headrace.texts("counter shows")), "it is read again", headrace.told)
        until(lambda: headrace.search("counter")["freshness_ms"] is not None, "freshness is known again", headrace.told)
        assert headrace.get("/v1/status")["status"] == "ok"
        again.connection.close()
