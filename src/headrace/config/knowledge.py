"""`[knowledge]`: what becomes documents, and what language models tell about them."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct, field

from headrace.config.problems import READ, bad, hint


class RowEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[[knowledge.rows]]`: a table whose rows are documents too."""

    table: Annotated[str, Meta(description="`source.schema.table`")]
    text: Annotated[str, Meta(description="Jinja2 template over the row's columns")]
    owner: Annotated[str | None, Meta(description="column with the user that a row is for")] = None
    groups: Annotated[
        str | None,
        Meta(description="column with the groups that it is for: an array, a JSON array or a list with commas"),
    ] = None
    metadata: Annotated[
        list[str], Meta(description="columns that are its metadata: shown, and what searches can be limited by")
    ] = field(default_factory=list[str])


Sources = Annotated[
    list[str],
    Meta(description="names of sources; none: all of folders and uploads. Rows that are documents only where named"),
]
Generation = Annotated[
    str | None, Meta(description="address of a language model; without it that of `[models] generation`")
]
Parallel = Annotated[int, Meta(ge=1, le=64, description="requests to the model at a time")]
Characters = Annotated[
    int, Meta(ge=100, le=1_000_000, description="characters of a document's beginning that the model reads")
]
MaxTokens = Annotated[int, Meta(ge=1, description="longest answer, tokens, with what the model thinks")]


class Classify(Struct, frozen=True, forbid_unknown_fields=True):
    """`[knowledge.classify]`: a language model gives documents labels; without this table, none."""

    labels: Annotated[dict[str, str], Meta(description="name = what it means")]
    many: Annotated[bool, Meta(description="whether a document gets all labels that fit, or the best one")] = False
    sources: Sources = field(default_factory=list[str])
    model: Generation = None
    parallel: Parallel = 2
    characters: Characters = 12_000
    max_tokens: MaxTokens = 200


class Summarise(Struct, frozen=True, forbid_unknown_fields=True):
    """`[knowledge.summarise]`: a language model summarises documents; without this table, none."""

    sources: Sources = field(default_factory=list[str])
    model: Generation = None
    parallel: Parallel = 2
    max_words: Annotated[int, Meta(ge=10, le=2000, description="words of a summary at most")] = 100
    characters: Characters = 12_000
    max_tokens: MaxTokens = 600


class Knowledge(Struct, frozen=True, forbid_unknown_fields=True):
    """`[knowledge]`."""

    chunk_tokens: Annotated[
        int, Meta(ge=16, le=8192, description="tokens of a chunk at most; of longer ones a model reads its own most")
    ] = 200
    rows: list[RowEntry] = field(default_factory=list[RowEntry])
    classify: Classify | None = None
    summarise: Summarise | None = None


def check_told(where: str, told: Classify | Summarise, names: list[str], generation: str | None) -> None:
    if not (told.model or generation):
        remedy = "Set [models] generation, or `model` in this table, to an address such as openai+http://…?model=NAME."
        raise bad(READ, f"a language model for [{where}]", "none", remedy)
    for name in told.sources:
        if name not in names:
            raise bad(READ, f"names of configured sources in [{where}]", name, hint(name, names, "Sources"))
    if isinstance(told, Classify):
        _check_labels(where, told)


def _check_labels(where: str, told: Classify) -> None:
    labels = list(told.labels)
    if len(labels) < (1 if told.many else 2):
        least = "one label or more" if told.many else "two labels or more, of which one is given"
        raise bad(READ, f"{least} in [{where}]", str(len(labels)), 'Write labels = { name = "what it means" }.')
    for label in labels:
        if not re.fullmatch(r"[^\s,;\[\]\"'`*.:-][^,;\n\[\]\"`*]{0,59}", label) or label != label.strip():
            expected = f"names of up to 60 characters without commas, quotes and brackets in [{where}]"
            raise bad(READ, expected, repr(label), "Rename the label.")
        if (told.many and label.casefold() == "none") or [x.casefold() for x in labels].count(label.casefold()) > 1:
            raise bad(READ, f"labels that differ, and none named `none`, in [{where}]", repr(label), "Rename it.")
