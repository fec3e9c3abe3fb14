"""The sections of single values, which can be set in the environment too: where things live, where it answers, with
which models, and how."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from headrace.access import EVERYBODY
from headrace.config.problems import bad


class Main(Struct, frozen=True, forbid_unknown_fields=True):
    """`[headrace]`: where things live."""

    store: Annotated[str, Meta(description="`embedded:` or `postgresql://…` (15 or newer, with pgvector)")] = (
        "embedded:"
    )
    log: Annotated[
        str,
        Meta(
            description="`embedded:`, in the store; `embedded:?partitions=4` for more partitions; "
            "`memory:`, gone with the process, for tests and for trying out with an empty store"
        ),
    ] = "embedded:"
    data: Annotated[str, Meta(description="folder for everything that Headrace keeps on this machine")] = "./.headrace"
    history: Annotated[str, Meta(description="how long closed versions are kept, such as `12h`, `7d`")] = "7d"
    retention: Annotated[str, Meta(description="how long the log is kept, such as `30d`")] = "30d"


class Server(Struct, frozen=True, forbid_unknown_fields=True):
    """`[server]`: where it answers."""

    host: Annotated[str, Meta(description="address to bind; loopback unless you know better")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; 0 picks a free one")] = 8420
    hosts: Annotated[list[str], Meta(description="further names under which browsers may reach it")] = field(
        default_factory=list[str]
    )
    max_body: Annotated[int, Meta(ge=1024, description="largest request body, bytes")] = 1_048_576
    max_stream: Annotated[
        int,
        Meta(ge=1024, description="largest stream of pushed lines or form of uploads, bytes; a line may have max_body"),
    ] = 1_073_741_824
    identity: Annotated[
        Literal["none", "headers"],
        Meta(
            description="who reads: `none`, everybody is the operator of this Headrace; `headers`, whom a gateway in "
            "front names, which shows `identity_secret`"
        ),
    ] = "none"
    identity_secret: Annotated[
        str | None,
        Meta(
            description="for `headers`: `${env:NAME}` or `${file:/path}`, 16 characters or more; the gateway sends it "
            "as `X-Headrace-Secret`"
        ),
    ] = None
    user_header: Annotated[str, Meta(description="header with the user's name")] = "X-Headrace-User"
    groups_header: Annotated[str, Meta(description="header with the user's groups, between commas")] = (
        "X-Headrace-Groups"
    )
    user_type: Annotated[
        str | None,
        Meta(description="identifier type that users' names are of, such as `email`: questions then know the profile"),
    ] = None
    operators: Annotated[
        list[str], Meta(description="for `headers`: groups that see everything, change documents and see the status")
    ] = field(default_factory=lambda: ["headrace-operators"])


class Models(Struct, frozen=True, forbid_unknown_fields=True):
    """`[models]`: what embeds, what reranks and what writes."""

    embedding: Annotated[
        str,
        Meta(
            description="`onnx:all-MiniLM-L6-v2`, `onnx:/folder`, `hf:OWNER/NAME`, `openai+http://host/v1?model=NAME`, "
            "`bedrock://region/model` or `sagemaker://region/endpoint`: see [models](models.md)"
        ),
    ] = "onnx:all-MiniLM-L6-v2"
    reranker: Annotated[
        str | None,
        Meta(
            description="`onnx:/folder`, `hf:OWNER/NAME`, `https://host/v1/rerank?model=NAME`, `tei+http://host` or "
            "`bedrock://region/model`: see [models](models.md#a-reranker); without it passages are not reranked"
        ),
    ] = None
    rerank: Annotated[
        bool, Meta(description="whether it is asked for searches and questions that do not say so themselves")
    ] = True
    rerank_candidates: Annotated[
        int, Meta(ge=1, le=200, description="how many of the passages that are found are reranked, the best ones")
    ] = 30
    rerank_ms: Annotated[
        int, Meta(ge=1, le=60_000, description="how long a search waits for that; then they stay as they were found")
    ] = 2000
    generation: Annotated[
        str | None, Meta(description="`openai+http://host/v1?model=NAME`; without it answers are extractive")
    ] = None


class AnswerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[answer]`."""

    now: Annotated[str | None, Meta(description="a fixed time for `today` and `next`, for demos and replays")] = None
    passages: Annotated[int, Meta(ge=1, le=100, description="how many chunks an answer is made from")] = 10
    wait_ms: Annotated[int, Meta(ge=0, description="how long `after` waits when a request does not say")] = 2000
    max_tokens: Annotated[int, Meta(ge=1, description="longest answer of a language model, tokens")] = 700


LEAST_SECRET = 16


def check_identity(server: Server) -> None:
    if server.identity == "none":
        return
    step = "read [server] identity"
    if len(server.identity_secret or "") < LEAST_SECRET:
        remedy = 'Write identity_secret = "${env:HEADRACE_SECRET}", and let the gateway send the same.'
        raise bad(step, f"an identity_secret of {LEAST_SECRET} characters or more", "a shorter one or none", remedy)
    if not (server.identity_secret or "").isascii():
        raise bad(step, "an identity_secret of ASCII characters, as headers can have", "others", "Choose another.")
    names = [server.user_header.lower(), server.groups_header.lower(), "x-headrace-secret"]
    if len({*names}) < len(names) or not all(re.fullmatch(r"[a-z0-9-]+", n) for n in names):
        raise bad(step, "names of two headers for user and groups", ", ".join(names[:2]), "Correct them.")
    if EVERYBODY in server.operators:
        raise bad(step, "groups of operators", "`*`, which is everybody", 'Name a group, or write identity = "none".')
