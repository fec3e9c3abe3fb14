"""Seeing the whole log again adds nothing and changes nothing."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from headrace.stores.postgres.store import PostgresStore
from tests.checksum import ALL, checksums, differences, rows, wrong
from tests.load import Load, settings
from tests.servers import PostgresApart
from tests.whole import Whole, database

SEED = 11
LOAD_S = 8.0
OPERATORS = ("knowledge", "profiles")
SOURCES = ("airline", "policies")


def test_a_replay_from_offset_0_adds_and_changes_nothing(
    debian_postgres: PostgresApart, standalone_postgres: PostgresApart, tmp_path: Path
) -> None:
    """History, positions, numbers of rows, dead letters open and settled: every row stays what it is."""
    with database(debian_postgres) as source, database(standalone_postgres) as store:
        folder = tmp_path / "documents"
        load = Load(source.dsn, folder, SEED).prepare()
        headrace = Whole(tmp_path / "headrace", settings(source.dsn, folder), store=store.dsn)
        try:
            bad_input(folder, "bad")
            headrace.start()
            load.start()
            time.sleep(LOAD_S / 2)
            bad_input(folder, "worse")
            time.sleep(LOAD_S / 2)
            load.stop()
            bad_input(folder, "mended")
            headrace.settle()
            time.sleep(2)  # progress over changes that an operator does not want is saved now and then
            assert headrace.stop() == 0
            before = rows(store.dsn, ALL)
            assert all(len(lines) > 0 for name, lines in before.items() if name != "topic_fences")
            assert not wrong(store.dsn)

            asyncio.run(rewind(store.dsn))
            headrace.start().settle()
            time.sleep(2)
            assert headrace.stop() == 0

            after = rows(store.dsn, ALL)
            assert not differences(after, before)
            assert checksums(after) == checksums(before)
        finally:
            if load.running:
                load.stop()
            headrace.close()


def bad_input(folder: Path, kind: str) -> None:
    """One file that stays bad, one that is mended in the end, one that is deleted in the end."""
    (folder / "stays.bin").write_bytes(b"\xff" + kind.encode())
    if kind == "mended":
        (folder / "mended.md").write_text("# Mended")
        (folder / "deleted.md").unlink()
        return
    (folder / "mended.md").write_bytes(b"\xfe" + kind.encode())
    (folder / "deleted.md").write_bytes(b"\xfd" + kind.encode())


async def rewind(dsn: str) -> None:
    """Lets every operator begin at offset 0 again."""
    model = rows(dsn, {"model": "select value from settings where name = 'embedding'"})["model"][0][0]
    store = await PostgresStore.open(dsn, model=model, dimensions=384, rules=[])
    for operator in OPERATORS:
        for source in SOURCES:
            await store.rewind(operator, source)
    await store.close()
    rewound = rows(dsn, {"numbers": "select number from operator_progress where operator in ('knowledge', 'profiles')"})
    assert {n for (n,) in rewound["numbers"]} == {0}
