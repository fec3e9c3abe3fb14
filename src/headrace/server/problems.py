"""Errors as RFC 9457 problems."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from headrace.errors import HeadraceError
from headrace.server.shapes import json_response

logger = structlog.get_logger("headrace.server")


def problem(error: HeadraceError) -> dict[str, Any]:
    """The fields of a problem, for HTTP and WebSocket alike."""
    return {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": str(error),
        "step": error.step,
        "expected": error.expected,
        "got": error.got,
        "remedy": error.remedy,
    }


def problem_response(error: HeadraceError, headers: dict[str, str] | None = None) -> Response:
    response = json_response(problem(error), error.status, "application/problem+json")
    response.headers.update(headers or {})
    return response


def unexpected(step: str, got: str) -> HeadraceError:
    return HeadraceError(
        step=step, expected="it to work", got=got, remedy="See Headrace's log; ask again, and report it if it repeats."
    )


def install(app: FastAPI) -> None:
    """Every error of every route leaves as a problem."""

    @app.exception_handler(HeadraceError)
    async def ours(request: Request, error: HeadraceError) -> Response:  # pyright: ignore[reportUnusedFunction]
        return problem_response(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:  # pyright: ignore[reportUnusedFunction]
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        fields = {
            "type": "about:blank",
            "title": "The request cannot be understood",
            "status": 422,
            "detail": f"{where}: {first['msg']}",
            "step": f"read {request.method} {request.url.path}",
            "expected": first["msg"],
            "got": f"{where} = {str(first.get('input'))[:120]}",
            "remedy": "See /openapi.json for what this route takes.",
        }
        return json_response(fields, 422, "application/problem+json")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:  # pyright: ignore[reportUnusedFunction]
        fields = {
            "type": "about:blank",
            "title": str(error.detail),
            "status": error.status_code,
            "detail": str(error.detail),
            "step": f"{request.method} {request.url.path}",
            "expected": "a route of this server",
            "got": str(error.detail),
            "remedy": "See /openapi.json for the routes.",
        }
        return json_response(fields, error.status_code, "application/problem+json")

    @app.exception_handler(Exception)
    async def other(request: Request, error: Exception) -> Response:  # pyright: ignore[reportUnusedFunction]
        logger.exception("a request failed", path=request.url.path)
        return problem_response(unexpected(f"{request.method} {request.url.path}", type(error).__name__))
