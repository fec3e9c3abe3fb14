"""Who reads: the one place where a request becomes a viewer.

Later ways of signing in end here too: whatever proves who somebody is, `Identity.viewer` says it.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from starlette.requests import HTTPConnection

from headrace.access import OPERATOR, Viewer, named
from headrace.config.sections import Server
from headrace.errors import BadRequest, HeadraceError
from headrace.profiles.identifiers import normalise
from headrace.server.headers import AS_GROUPS, AS_USER, SECRET_HEADER

MOST_GROUPS = 1000
SCOPE = "headrace.viewer"
"""Where a connection has its viewer."""


class Unproved(HeadraceError):
    """A request that says who reads without proving that it may."""

    status = 401
    title = "Who reads is not proved"


class ForOperators(HeadraceError):
    """What only operators may do."""

    status = 403
    title = "Only for operators"


class Identity:
    """Says who reads, by the settings of the server."""

    def __init__(self, settings: Server) -> None:
        self._trusted = settings.identity == "headers"
        self._secret = (settings.identity_secret or "").encode()
        self._user = settings.user_header.lower()
        self._groups = settings.groups_header.lower()
        self._operators = frozenset(settings.operators)

    def viewer(self, headers: Sequence[tuple[bytes, bytes]]) -> Viewer:
        """Raises Unproved for a name without the secret, BadRequest for names that cannot be read, ForOperators."""
        viewer = self._told(headers) if self._trusted else OPERATOR
        as_user, as_groups = _one(headers, AS_USER), _one(headers, AS_GROUPS)
        if as_user is None and as_groups is None:
            return viewer
        if not viewer.operator:
            raise ForOperators(
                step="read as somebody else", expected="an operator", got="somebody else", remedy="Leave that out."
            )
        return _viewer(as_user, as_groups)

    def _told(self, headers: Sequence[tuple[bytes, bytes]]) -> Viewer:
        user, groups, secret = (_one(headers, name) for name in (self._user, self._groups, SECRET_HEADER))
        if secret is None and user is None and groups is None:
            return _viewer(None, None)
        if not hmac.compare_digest((secret or "").encode("utf-8", "surrogatepass"), self._secret):
            raise Unproved(
                step="check who reads",
                expected=f"the gateway's secret in {SECRET_HEADER}",
                got="another one" if secret else "none",
                remedy="Ask through the gateway: it sends [server] identity_secret, and leaves out what clients send.",
            )
        viewer = _viewer(user, groups)
        operator = not self._operators.isdisjoint(viewer.groups)
        return Viewer(viewer.user, viewer.groups, operator)


def viewer_of(connection: HTTPConnection) -> Viewer:
    """Who reads over it. Raises KeyError where nobody was identified: nothing is answered then."""
    return connection.scope[SCOPE]


def asker_of(viewer: Viewer, user: str | None, kind: str | None) -> str | None:
    """As whom a question is asked: an operator as anybody, everybody else as oneself. `kind`: the identifier type of
    users' names; without one a name is nobody's identifier, whatever it looks like. Raises ForOperators."""
    if viewer.operator:
        return user
    own = None if viewer.user is None else normalise(f"{kind or 'viewer'}:{viewer.user}")
    if user is None or (own is not None and normalise(user) in (own, viewer.user)):
        return own
    raise ForOperators(
        step="ask as somebody else", expected="oneself, or an operator", got="somebody else", remedy="Leave `user` out."
    )


def _viewer(user: str | None, groups: str | None) -> Viewer:
    try:
        told = [g for text in (groups or "").split(",") if (g := named(text))]
        if len(told) > MOST_GROUPS:
            raise ValueError(f"{len(told)} groups, more than {MOST_GROUPS}")
        return Viewer(named(user or ""), frozenset(told))
    except ValueError as error:
        raise BadRequest(
            step="read who reads", expected="names of a user and of groups", got=str(error), remedy="Correct them."
        ) from None


def _one(headers: Sequence[tuple[bytes, bytes]], name: str) -> str | None:
    """A header that may be there once: of two, one may be what a client sent past the gateway. Raises BadRequest."""
    found = [value for key, value in headers if key.lower() == name.lower().encode()]
    if len(found) > 1:
        raise BadRequest(
            step="read who reads", expected=f"one {name}", got=str(len(found)), remedy="Let the gateway replace it."
        )
    try:
        return found[0].decode() if found else None
    except UnicodeDecodeError:
        raise BadRequest(
            step="read who reads", expected=f"{name} in UTF-8", got="other bytes", remedy="Encode it so."
        ) from None
