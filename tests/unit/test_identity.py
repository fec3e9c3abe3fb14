"""Who reads: a name counts with the gateway's secret alone, and what is not let through is for operators."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from headrace.access import ANYBODY, OPERATOR, Viewer
from headrace.config import parse
from headrace.config.sections import Server
from headrace.errors import BadRequest, ConfigError, HeadraceError
from headrace.server.identify import Identify
from headrace.server.identity import ForOperators, Identity, Unproved, asker_of, viewer_of

SECRET = "sixteen letters and more"
SETTINGS = Server(identity="headers", identity_secret=SECRET, operators=["ops"])
PROVED = ("X-Headrace-Secret", SECRET)
ADA = Viewer("ada", frozenset({"staff", "hr"}))


def viewer(*headers: tuple[str, str], settings: Server = SETTINGS) -> Viewer:
    return Identity(settings).viewer([(k.lower().encode(), v.encode()) for k, v in headers])


def test_with_the_secret_the_gateway_s_word_counts() -> None:
    assert viewer(PROVED, ("X-Headrace-User", " ada "), ("x-headrace-GROUPS", "hr, staff,,")) == ADA
    assert viewer(PROVED) == ANYBODY
    assert viewer(PROVED, ("X-Headrace-Groups", "ops")).operator
    assert viewer(PROVED, ("X-Headrace-User", "ops")) == Viewer("ops")
    assert viewer(PROVED, ("X-Headrace-User", "Zoë")).user == "Zoë"
    own = Server(identity="headers", identity_secret=SECRET, user_header="Remote-User", groups_header="Remote-Groups")
    assert viewer(PROVED, ("Remote-User", "ada"), ("X-Headrace-User", "bo"), settings=own) == Viewer("ada")


def test_who_says_nothing_is_anybody() -> None:
    assert viewer() == ANYBODY
    assert viewer(("host", "x"), ("authorization", "Bearer y")) == ANYBODY


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_name_without_the_secret_is_refused(guess: str) -> None:
    if guess == SECRET:
        return
    for name in ("X-Headrace-User", "X-Headrace-Groups"):
        for said in ([(name, "ops")], [(name, "")], [("X-Headrace-Secret", guess), (name, "ops")]):
            with pytest.raises(Unproved):
                viewer(*said)
    with pytest.raises(Unproved):
        viewer(("X-Headrace-Secret", guess))


@pytest.mark.parametrize("name", ["X-Headrace-User", "X-Headrace-Groups", "X-Headrace-Secret", "X-Headrace-As-User"])
def test_a_header_that_stands_twice_is_refused(name: str) -> None:
    said = [h for h in (PROVED,) if h[0] != name]
    with pytest.raises(BadRequest):
        viewer(*said, (name, SECRET), (name, SECRET))


def test_names_that_cannot_be_are_refused() -> None:
    for header in (("X-Headrace-User", "a\nb"), ("X-Headrace-User", "x" * 401), ("X-Headrace-Groups", "g," * 3 + "\0")):
        with pytest.raises(BadRequest):
            viewer(PROVED, header)
    with pytest.raises(BadRequest):
        viewer(PROVED, ("X-Headrace-Groups", ",".join(f"g{n}" for n in range(1001))))
    with pytest.raises(BadRequest):
        Identity(SETTINGS).viewer([(b"x-headrace-user", b"\xff")])


def test_an_operator_may_read_as_others_do_and_nobody_else() -> None:
    said = (("X-Headrace-As-User", "ada"), ("X-Headrace-As-Groups", "staff,hr"))
    assert viewer(*said, settings=Server()) == ADA
    assert viewer(PROVED, ("X-Headrace-Groups", "ops"), *said) == ADA
    assert viewer(PROVED, ("X-Headrace-Groups", "ops"), ("X-Headrace-As-Groups", "ops")) == Viewer(
        None, frozenset({"ops"})
    )
    for headers in ((PROVED, ("X-Headrace-User", "ada"), *said), said):
        with pytest.raises(ForOperators):
            viewer(*headers)


def test_without_identity_everybody_is_the_operator_whatever_they_say() -> None:
    assert viewer(("X-Headrace-User", "ada"), settings=Server()) == OPERATOR


def test_one_asks_as_oneself() -> None:
    assert asker_of(OPERATOR, "email:bo@x", None) == "email:bo@x"
    assert asker_of(OPERATOR, None, "email") is None
    ada = Viewer("Ada@x")
    assert asker_of(ada, None, "email") == asker_of(ada, "email:ADA@x", "email") == "email:ada@x"
    assert asker_of(ada, "Ada@x", "email") == "email:ada@x"
    assert asker_of(ANYBODY, None, "email") is None
    for who, user in ((ada, "email:bo@x"), (ada, "user_id:Ada@x"), (ANYBODY, "ada"), (ANYBODY, "email:ada@x")):
        with pytest.raises(ForOperators):
            asker_of(who, user, "email")
    # A name that looks like an identifier is none without a type.
    assert asker_of(Viewer("email:bo@x"), None, None) == "viewer:email:bo@x"


async def answered(scope: Scope, settings: Server) -> list[Message]:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    await Identify(app, identity=Identity(settings))(scope, receive, send)
    return sent


def request(method: str, path: str, *headers: tuple[str, str]) -> Scope:
    told = [(k.lower().encode(), v.encode()) for k, v in headers]
    return {"type": "http", "method": method, "path": path, "headers": told}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/documents", 200), ("GET", "/v1/documents/a/b", 200), ("POST", "/v1/search", 200),
        ("GET", "/", 200),
        ("GET", "/assets/index.js", 200), ("GET", "/favicon.svg", 200), ("GET", "/healthz", 200),
        ("GET", "/v1/search", 403), ("POST", "/v1/documents", 403), ("PUT", "/v1/documents/a", 403),
        ("GET", "/metrics", 403), ("GET", "/v1/status", 403), ("GET", "/v1/documents2", 403),
        ("GET", "/v1/log/a.svg", 403),
        ("POST", "/v1/changes", 403), ("GET", "/v1/changes/", 403), ("OPTIONS", "/v1/search", 403),
        ("GET", "/v1/verify", 403),
        ("GET", "//v1/documents", 403), ("GET", "/demo/state", 403), ("GET", "/v1/something_new", 403),
    ],
)  # fmt: skip
async def test_what_is_not_let_through_is_for_operators(method: str, path: str, status: int) -> None:
    scope = request(method, path, PROVED, ("X-Headrace-User", "ada"))
    (start, *_) = await answered(scope, SETTINGS)
    assert start["status"] == status
    if status == 200:
        assert ((b"cache-control", b"no-store") in start["headers"]) is path.startswith("/v1/")
    (start, *_) = await answered(request(method, path, PROVED, ("X-Headrace-Groups", "ops")), SETTINGS)
    assert start["status"] == 200
    (start, *_) = await answered(request(method, path), Server())
    assert start["status"] == 200


async def test_a_socket_of_nobody_is_closed_before_it_is_open() -> None:
    scope: Scope = {"type": "websocket", "path": "/ws", "headers": [(b"x-headrace-user", b"ada")]}
    (close,) = await answered(scope, SETTINGS)
    assert (close["type"], close["code"]) == ("websocket.close", 4401)
    (close,) = await answered({**scope, "path": "/other", "headers": []}, SETTINGS)
    assert close["code"] == 4403


def test_a_request_that_nobody_identified_is_not_answered() -> None:

    with pytest.raises(KeyError):
        viewer_of(HTTPConnection({"type": "http", "headers": []}))


@pytest.mark.parametrize(
    "settings",
    [
        'identity = "headers"',
        'identity = "headers"\nidentity_secret = "${env:SHORT}"',
        'identity = "headers"\nidentity_secret = "${env:ODD}"',
        'identity = "headers"\nidentity_secret = "written out in the file"',
        'identity = "headers"\nidentity_secret = "${env:GOOD}"\noperators = ["*"]',
        'identity = "headers"\nidentity_secret = "${env:GOOD}"\nuser_header = "X-Headrace-Groups"',
        'identity = "headers"\nidentity_secret = "${env:GOOD}"\nuser_header = "a b"',
    ],
)
def test_settings_that_would_not_guard_are_refused(settings: str, tmp_path: Path) -> None:

    environ = {"GOOD": SECRET, "SHORT": "too short", "ODD": "ünïcode and long enough"}
    with pytest.raises(ConfigError) as caught:
        parse(f"[server]\n{settings}", tmp_path, environ)
    error: HeadraceError = caught.value
    assert not any(word in str(error) for word in environ.values())
