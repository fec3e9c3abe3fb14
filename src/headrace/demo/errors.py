"""What can go wrong at the airline."""

from __future__ import annotations

from headrace.errors import BadRequest, HeadraceError, NotFound


class UnknownPlace(NotFound):
    """A table, row or policy that the desk does not have."""

    title = "The airline desk does not have this"


class Refused(BadRequest):
    """The desk or the airline's database refuses a value."""

    status = 422
    title = "The airline does not accept this"


class SimulatorStopped(HeadraceError):
    """The simulator's process is not running."""

    status = 503
    title = "The simulator is not running"


class AirlineAway(HeadraceError):
    """The airline's database cannot be reached."""

    status = 503
    title = "The airline's database is not available"
