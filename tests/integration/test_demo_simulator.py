"""The simulator: what it does to the airline is sensible, and its process does as it is told."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random

import psycopg
import pytest
import pytest_asyncio

from headrace.demo.control import SimulatorControl
from headrace.demo.errors import SimulatorStopped
from headrace.demo.personas import PERSONAS
from headrace.demo.policies import copy_policies, list_policies, read_policy
from headrace.demo.simulator.play import MOVES, step
from headrace.demo.simulator.protocol import Report, decode_report
from headrace.demo.simulator.world import read_world
from tests.integration.airline import Connection, checksum, loaded, rows, value
from tests.servers import FreshDatabases

PEOPLE = [persona.user_id for persona in PERSONAS]


@pytest_asyncio.fixture
async def address(fresh_database: FreshDatabases) -> str:
    return await fresh_database()


@pytest_asyncio.fixture
async def airline(address: str) -> AsyncIterator[Connection]:
    connection = await loaded(address)
    yield connection
    await connection.close()


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    copy_policies(tmp_path / "policies")
    return tmp_path / "policies"


async def play(connection: Connection, policies: Path, *, seed: int, steps: int) -> Counter[str]:
    world, chance = await read_world(connection, policies), Random(seed)
    kinds = [await step(connection, world, chance) for _ in range(steps)]
    assert None not in kinds
    return Counter(kind for kind in kinds if kind)


async def until(true: Callable[[], Awaitable[bool]], *, within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not await true():  # noqa: ASYNC110 - what is waited for is another process
            await asyncio.sleep(0.02)


BROKEN_RULES = {
    "a booked reservation has a flight": """
        select from reservations r where status = 'booked'
        and not exists (select from reservation_flights s where s.reservation_id = r.reservation_id)""",
    "a cancelled reservation has none": """
        select from reservations r join reservation_flights s using (reservation_id) where r.status = 'cancelled'""",
    "a cancelled reservation is paid back in full": """
        select from reservations r where status = 'cancelled'
        and (select sum(amount) from payments p where p.reservation_id = r.reservation_id) is distinct from 0""",
    "everything new is paid with what it costs": """
        select from reservations r where status = 'booked' and created_at = '2024-05-15 15:00'
        and (select sum(amount) from payments p where p.reservation_id = r.reservation_id)
            is distinct from jsonb_array_length(passengers) * (
                (select sum(price) from reservation_flights s where s.reservation_id = r.reservation_id)
                + case when insurance then 30 else 0 end)""",
    "a payment is by a method of who booked": """
        select from payments p join reservations r using (reservation_id) where p.user_id <> r.user_id""",
    "a flight of today that is late or on time says when it leaves": """
        select from flight_dates where status in ('on time', 'delayed') and estimated_departure is null""",
    "nobody arrives before leaving": """
        select from flight_dates where estimated_arrival <= coalesce(actual_departure, estimated_departure)""",
    "the first flight leaves from where the reservation does": """
        select from reservations r join reservation_flights s using (reservation_id)
        join flights f using (flight_number) where s.segment = 1 and f.origin <> r.origin""",
    "no more than a few flights are withdrawn": """
        select from flight_dates where status = 'cancelled' and business_seats is not null offset 8""",
}


async def test_long_play_breaks_no_rule(airline: Connection, policies: Path) -> None:
    old_rows = "select s::text from {} s where user_id = any(%s) order by 1"
    before = [await rows(airline, old_rows.format(t), (PEOPLE,)) for t in ("users", "reservations", "payments")]

    counts = await play(airline, policies, seed=7, steps=1500)

    for rule, broken in BROKEN_RULES.items():
        assert await rows(airline, broken) == [], rule
    assert set(counts) == set(MOVES)
    after = [await rows(airline, old_rows.format(t), (PEOPLE,)) for t in ("users", "reservations", "payments")]
    assert after == before


async def test_what_the_questions_hang_on_stays_answerable(airline: Connection, policies: Path) -> None:
    watched = sorted((await read_world(airline, policies)).spotlight)
    keys = [(flight.flight_number, flight.flight_date) for flight in watched]
    statement = """
        select status, least(basic_economy_seats, economy_seats, business_seats) from flight_dates
        where (flight_number, flight_date) = (%s, %s)"""
    before = [(await rows(airline, statement, key))[0] for key in keys]
    coming = await checksum_of_flights(airline)

    await play(airline, policies, seed=11, steps=1500)

    after = [(await rows(airline, statement, key))[0] for key in keys]
    assert [status for status, _ in after] == [status for status, _ in before]
    for (_, seats_before), (_, seats_after) in zip(before, after, strict=True):
        assert seats_before is None or seats_after >= min(seats_before, 1)
    assert await checksum_of_flights(airline) == coming


async def checksum_of_flights(connection: Connection) -> object:
    return await value(
        connection,
        "select md5(string_agg(s::text, ',' order by reservation_id, segment)) from reservation_flights s"
        " where user_id = any(%s)",
        (PEOPLE,),
    )


async def test_a_seed_repeats_itself(fresh_database: FreshDatabases, tmp_path: Path) -> None:
    ends: list[tuple[str, list[str]]] = []
    for run, seed in enumerate((3, 3, 4)):
        folder = tmp_path / str(run)
        copy_policies(folder)
        connection = await loaded(await fresh_database())
        async with connection:
            await play(connection, folder, seed=seed, steps=150)
            texts = [read_policy(folder, policy.name) for policy in list_policies(folder)]
            ends.append((await checksum(connection), texts))

    assert ends[0] == ends[1]
    assert ends[0] != ends[2]


async def test_one_seat_cannot_be_sold_twice(airline: Connection, address: str, policies: Path) -> None:
    await airline.execute("update flight_dates set economy_seats = 1, business_seats = 1 where status = 'available'")
    connections = [await psycopg.AsyncConnection.connect(address, autocommit=True) for _ in range(4)]

    counts = await asyncio.gather(
        *(play(connection, policies, seed=seed, steps=120) for seed, connection in enumerate(connections))
    )

    for connection in connections:
        await connection.close()
    assert sum(count.total() for count in counts) == 480
    assert await value(airline, "select min(least(economy_seats, business_seats)) from flight_dates") == 0


async def test_it_plays_pauses_and_goes_on(airline: Connection, address: str, policies: Path) -> None:
    async with SimulatorControl(address, policies, speed=20, seed=1) as simulator:
        await until(lambda: plays(simulator, 10))

        paused = await simulator.command(running=False)
        still = await checksum(airline)
        await asyncio.sleep(0.4)

        assert not paused.running
        assert await checksum(airline) == still
        faster = await simulator.command(running=True, speed=40)
        assert (faster.running, faster.speed) == (True, 40)
        await until(lambda: plays(simulator, paused.changes + 10))
        assert simulator.report.changes == sum(simulator.report.counts.values())
        pid = simulator.pid

    assert pid is not None
    assert not is_alive(pid)


async def plays(simulator: SimulatorControl, changes: int) -> bool:
    return simulator.report.connected and simulator.report.changes >= changes


def is_alive(pid: int) -> bool:
    """Whether it runs: an orphan may stay as a zombie until somebody asks for it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def command_line(pid: int | None) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode()


async def test_it_starts_paused_when_asked(airline: Connection, address: str, policies: Path) -> None:
    before = await checksum(airline)
    async with SimulatorControl(address, policies, running=False, seed=1) as simulator:

        async def connected() -> bool:
            return simulator.report.connected

        await until(connected)
        await asyncio.sleep(0.3)
        assert simulator.report.changes == 0
        assert await checksum(airline) == before
        assert not simulator.report.running
        await simulator.command(running=True)
        await until(lambda: plays(simulator, 1))


async def test_it_comes_back_when_its_connection_is_cut(airline: Connection, address: str, policies: Path) -> None:
    async with SimulatorControl(address, policies, speed=20, seed=1) as simulator:
        await until(lambda: plays(simulator, 3))

        cut = await value(
            airline,
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where application_name = 'airline' and datname = current_database()",
        )

        assert cut == 1
        seen = simulator.report.changes
        await until(lambda: plays(simulator, seen + 3))


async def test_it_is_started_anew_when_it_is_killed(airline: Connection, address: str, policies: Path) -> None:
    async with SimulatorControl(address, policies, speed=20, seed=1) as simulator:
        await until(lambda: plays(simulator, 3))
        first, seen = simulator.pid, simulator.report.changes
        assert first is not None

        os.kill(first, signal.SIGKILL)

        await until(lambda: plays(simulator, seen + 3))
        assert simulator.pid != first


async def test_a_command_to_no_process_is_an_error_that_says_so(address: str, policies: Path) -> None:
    simulator = SimulatorControl(address, policies)

    with pytest.raises(SimulatorStopped, match="simulator"):
        await simulator.command(running=False)


async def test_the_address_is_not_on_its_command_line(airline: Connection, address: str, policies: Path) -> None:
    async with SimulatorControl(address, policies, running=False) as simulator:
        while not (line := command_line(simulator.pid)):  # noqa: ASYNC110 - empty while programs are exchanged
            await asyncio.sleep(0.01)

    assert "headrace.demo.simulator" in line
    assert "postgresql" not in line


async def test_it_dies_with_who_started_it(airline: Connection, address: str, policies: Path) -> None:
    program = f"""
import asyncio, pathlib
from headrace.demo.control import SimulatorControl
async def main():
    async with SimulatorControl({address!r}, pathlib.Path({str(policies)!r})) as simulator:
        print(simulator.pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert is_alive(pid)

    parent.kill()
    await parent.wait()

    async def gone() -> bool:
        return not is_alive(pid)

    await until(gone)


async def spawn(*arguments: str, address: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headrace.demo.simulator", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"HEADRACE_DEMO_AIRLINE": address},
    )


async def test_it_makes_a_number_of_steps_and_ends(airline: Connection, address: str, policies: Path) -> None:
    process = await spawn("--steps", "40", "--seed", "5", "--policies", str(policies), address=address)

    out, err = await process.communicate()

    assert (process.returncode, err) == (0, b"")
    assert decode_report(out).changes == 40


async def test_nonsense_on_stdin_is_told_and_it_plays_on(airline: Connection, address: str) -> None:
    process = await spawn("--speed", "20", address=address)
    assert process.stdin is not None
    process.stdin.write(b'nonsense\n{"running": false}\n')
    reports: list[Report] = []

    assert process.stdout is not None
    while not (reports and not reports[-1].running):
        reports.append(decode_report(await process.stdout.readline()))
    process.stdin.close()
    _, err = await process.communicate()

    assert any(report.problem and "not a command" in report.problem for report in reports)
    assert (process.returncode, err) == (0, b"")


async def test_a_database_that_is_not_the_airlines_is_told(address: str) -> None:
    process = await spawn(address=address)

    out, _ = await process.communicate()

    problem = decode_report(out.splitlines()[-1]).problem
    assert process.returncode == 1
    assert problem is not None
    assert "not the airline's database" in problem
