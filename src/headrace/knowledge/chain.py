"""The steps that make a topic's documents, by what is configured."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import lru_cache

from tokenizers import Tokenizer

from headrace.knowledge import chunk, parse, redacting, rows, terms
from headrace.knowledge.chunk import CHUNK_TOKENS
from headrace.knowledge.parsed import Limits
from headrace.knowledge.rows import RowTemplate
from headrace.knowledge.steps import CHUNK, PARSE, REDACT, RENDER, WORDS, Chain, Step, fingerprint
from headrace.models import Embedder
from headrace.redaction.policy import Redactor

_MACHINE = ("timeout_s", "memory")
"""Limits that say how long to wait, not what a file may be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What of the configuration changes what documents come to."""

    limits: Limits = field(default_factory=Limits)
    chunk_tokens: int = CHUNK_TOKENS


def chain_of(template: RowTemplate | None, redactor: Redactor | None, embedder: Embedder, settings: Settings) -> Chain:
    """Of a topic of rows with a template, of a folder's documents without. The model is no step of it: all vectors of a
    store are of one, and another's are built beside them."""
    if template is not None:
        columns = {"owner": template.owner, "groups": template.groups}
        said = {name: column for name, column in columns.items() if column is not None}
        said |= {"metadata": "\n".join(template.metadata)} if template.metadata else {}
        steps = [Step(RENDER, rows.VERSION, {"template": fingerprint(template.text), **said})]
    else:
        limits = {k: v for k, v in asdict(settings.limits).items() if k not in _MACHINE}
        steps = [Step(PARSE, parse.VERSION, limits)]
    if redactor is not None:
        steps.append(Step(REDACT, redacting.VERSION, {"policy": redactor.id}))
    tokens = {"tokens": settings.chunk_tokens, "tokenizer": _tokenizer(embedder.tokenizer)}
    steps.append(Step(CHUNK, chunk.VERSION, tokens))
    steps.append(Step(WORDS, terms.VERSION, {}))
    return Chain(steps)


@lru_cache(maxsize=8)
def _tokenizer(tokenizer: Tokenizer) -> str:
    return fingerprint(tokenizer.to_str())
