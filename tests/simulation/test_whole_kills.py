"""kill -9 at any moment, under a load that goes on: what is derived equals what a fresh build derives."""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.checksum import PRESENT, checksums, differences, stored
from tests.load import Load, settings
from tests.servers import PostgresApart
from tests.whole import Whole, children, database, kill_all, until, whole

SEED = 20261121
KILLS = 50
POSTGRES_KILLS = 10


def test_fifty_kills_lose_and_double_nothing(debian_postgres: PostgresApart, tmp_path: Path) -> None:
    moments = random.Random(SEED)
    with database(debian_postgres) as source:
        folder = tmp_path / "documents"
        load = Load(source.dsn, folder, SEED).prepare().start()
        headrace = Whole(tmp_path / "killed", settings(source.dsn, folder))
        try:
            for n in range(KILLS):
                headrace.launch()
                live_until(headrace, ("", "PostgreSQL", "answers", "answers", "answers")[n % 5])
                time.sleep(moments.uniform(0.0, 1.0))
                headrace.kill()
            load.stop()
            assert load.transactions > 10 * KILLS  # it went on while Headrace was down

            headrace.start().settle()
            same_as_a_fresh_build(headrace, tmp_path, settings(source.dsn, folder))
        finally:
            load_ended(load)
            headrace.close()


def test_ten_kills_of_the_embedded_postgres_lose_and_double_nothing(
    debian_postgres: PostgresApart, tmp_path: Path
) -> None:
    moments = random.Random(SEED)
    with database(debian_postgres) as source:
        folder = tmp_path / "documents"
        load = Load(source.dsn, folder, SEED + 1).prepare().start()
        headrace = Whole(tmp_path / "killed", settings(source.dsn, folder)).start()
        try:
            for n in range(POSTGRES_KILLS):
                time.sleep(moments.uniform(0.0, 1.5))
                postmaster = headrace.postmaster
                assert postmaster is not None
                everybody = [postmaster, *children(postmaster)]
                kill_all((everybody, [postmaster], everybody[::-1], everybody[1:])[n % 4])
                if n % 4 != 3:
                    until(lambda p=postmaster: headrace.postmaster not in (p, None), "a PostgreSQL", headrace.told)
                headrace.ready()
            load.stop()
            headrace.settle()
            same_as_a_fresh_build(headrace, tmp_path, settings(source.dsn, folder))
        finally:
            load_ended(load)
            headrace.close()


def live_until(headrace: Whole, words: str) -> None:
    """Kills are to hit every phase of a start, and the work behind it."""
    if words:
        headrace.says(words)


def same_as_a_fresh_build(headrace: Whole, folder: Path, configured: str) -> None:
    """By HTTP, and row by row in the store; ends `headrace`."""
    seen = as_answered(headrace)
    verified = headrace.command("verify", "--json")
    assert verified.code == 0, verified.out
    assert headrace.stop() == 0, headrace.told()
    with whole(folder / "fresh", configured) as fresh:
        fresh.settle()
        assert as_answered(fresh) == seen
        assert len(seen) > 50
        assert fresh.stop() == 0, fresh.told()
    got, faults = stored(headrace.data, PRESENT)
    assert not faults
    wanted, faults = stored(fresh.data, PRESENT)
    assert not faults
    assert not differences(got, wanted)
    assert checksums(got) == checksums(wanted)
    assert all(len(lines) > 0 for lines in wanted.values())


def as_answered(headrace: Whole) -> dict[str, object]:
    """Documents, with texts and chunks, and profiles as the API shows them, without positions and ages."""
    shown: dict[str, object] = {}
    for id in headrace.documents():
        document = headrace.document(id)
        shown[id] = {k: document[k] for k in ("content_hash", "title", "stage", "error", "text", "chunks")}
    for id, profile in headrace.profiles().items():
        facts = [{k: f[k] for k in ("table", "key", "fields", "text")} for f in profile["facts"]]
        shown[id] = {k: profile[k] for k in ("identifiers", "fields", "aggregates", "records")} | {"facts": facts}
    return shown


def load_ended(load: Load) -> None:
    if load.running:
        load.stop()
