"""The demo's HTTP: its state, the simulator, and the airline desk. Only `headrace demo` serves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from headrace.demo.control import SimulatorControl
from headrace.demo.desk import MAX_ROWS, Cell, Desk, Member, Table
from headrace.demo.personas import NOW, QUESTIONS, Question
from headrace.demo.policies import Policy
from headrace.demo.simulator.protocol import MAX_SPEED, MIN_SPEED, RATE, Report

Value = str | int | float | bool | None


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SimulatorWish(_Body):
    """What is left out stays as it is; `speed` 1 is about four changes a second."""

    running: bool | None = None
    speed: Annotated[float, Field(ge=MIN_SPEED, le=MAX_SPEED)] | None = None


class RowChange(_Body):
    """One row by its whole primary key, and the columns to set."""

    key: dict[str, Value]
    set: dict[str, Value]


class PolicyText(_Body):
    """A policy's whole text."""

    text: str


@dataclass(frozen=True, slots=True)
class Simulator:
    """How the simulator is: `rate` is in changes a second, `counts` are changes by kind."""

    running: bool
    speed: float
    rate: float
    changes: int
    counts: Mapping[str, int]
    connected: bool
    problem: str | None


@dataclass(frozen=True, slots=True)
class State:
    """What the page needs to show the demo; `now` is the airline's own clock."""

    now: str
    simulator: Simulator
    personas: Sequence[Member]
    questions: Sequence[Question]


@dataclass(frozen=True, slots=True)
class DeskPlan:
    """What the desk has."""

    tables: Sequence[Table]
    policies: Sequence[Policy]


@dataclass(frozen=True, slots=True)
class Page:
    """Rows by column, and how many match in all."""

    rows: Sequence[Mapping[str, Cell]]
    total: int


@dataclass(frozen=True, slots=True)
class Committed:
    """The end of the database's log after the commit: `after=airline@{lsn}` waits for this change."""

    lsn: str


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A policy's whole text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Saved:
    """When the new text was in place, RFC 3339."""

    saved_at: str


def demo_router(desk: Desk, simulator: SimulatorControl) -> APIRouter:
    """Routes below /demo over one desk and one simulator; their errors are HeadraceErrors."""
    router = APIRouter(prefix="/demo", tags=["demo"])

    @router.get("/state")
    async def state() -> State:
        members = await desk.members()
        return State(NOW.isoformat(), _simulator(simulator.report), members, QUESTIONS)

    @router.post("/simulator")
    async def steer(wish: SimulatorWish) -> Simulator:
        return _simulator(await simulator.command(running=wish.running, speed=wish.speed))

    @router.get("/desk")
    async def plan() -> DeskPlan:
        return DeskPlan(await desk.tables(), await desk.policies())

    @router.get("/desk/rows/{table}")
    async def rows(
        table: str,
        q: Annotated[str, Query(max_length=200)] = "",
        limit: Annotated[int, Query(ge=0, le=MAX_ROWS)] = 50,
        offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    ) -> Page:
        found = await desk.rows(table, q=q, limit=limit, offset=offset)
        return Page(found.rows, found.total)

    @router.patch("/desk/rows/{table}")
    async def change_row(table: str, change: RowChange) -> Committed:
        return Committed(await desk.update(table, change.key, change.set))

    @router.get("/desk/policies/{name}")
    async def policy(name: str) -> PolicyDocument:
        return PolicyDocument(name, await desk.policy(name))

    @router.put("/desk/policies/{name}")
    async def save_policy(name: str, document: PolicyText) -> Saved:
        return Saved(await desk.save_policy(name, document.text))

    # FastAPI holds them; naming them tells a reader and the type checker that they are used.
    del state, steer, plan, rows, change_row, policy, save_policy
    return router


def _simulator(report: Report) -> Simulator:
    return Simulator(
        running=report.running,
        speed=report.speed,
        rate=RATE * report.speed,
        changes=report.changes,
        counts=report.counts,
        connected=report.connected,
        problem=report.problem,
    )
