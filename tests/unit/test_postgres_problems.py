"""Which problems of a stream pass by themselves, and which are a person's."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from headrace.errors import SourceError
from headrace.sources.postgres.problems import Broken, stream_failed


@pytest.mark.parametrize(
    "problem",
    [
        errors.InternalError_('could not map filenode "base/33149/33209" to relation OID'),
        errors.InternalError_('could not map filenumber "base/33149/33209" to relation OID'),  # since 16
        errors.AdminShutdown("terminating connection due to administrator command"),
        psycopg.OperationalError("server closed the connection unexpectedly"),
    ],
)
def test_what_passes_is_tried_again(problem: psycopg.Error) -> None:
    failed = stream_failed("it", "slot", problem)
    assert isinstance(failed, Broken)
    assert str(problem) in failed.error.got
    assert "connects again" in failed.error.remedy


@pytest.mark.parametrize(
    "problem",
    [
        errors.InternalError_("invalid memory alloc request size"),
        errors.UndefinedObject('replication slot "slot" does not exist'),
        errors.ObjectNotInPrerequisiteState('can no longer get changes from replication slot "slot"'),
    ],
)
def test_what_does_not_pass_is_an_error(problem: psycopg.Error) -> None:
    assert isinstance(stream_failed("it", "slot", problem), SourceError)
