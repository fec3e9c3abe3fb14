"""Texts to chunks of at most so many tokens of the model, cut at the text's own structure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from semantic_text_splitter import MarkdownSplitter, TextSplitter
from tokenizers import Tokenizer

from headrace.knowledge.parse import Parsed, headings

CHUNK_TOKENS = 200


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk's place in its text (characters), its words, and the headings above it, outermost first."""

    start: int
    end: int
    text: str
    heading: str


def chunk(parsed: Parsed, tokenizer: Tokenizer) -> list[Piece]:
    """Chunks in order; together they cover all of the text that is not white space."""
    above = headings(parsed.text) if parsed.markdown else []
    starts = [h[0] for h in above]
    pieces: list[Piece] = []
    for start, text in _splitter(tokenizer, parsed.markdown).chunk_indices(parsed.text):
        if text.strip():
            upto = bisect_right(starts, start)
            pieces.append(Piece(start, start + len(text), text, _path(above[:upto])))
    return pieces


def _path(above: Sequence[tuple[int, int, str]]) -> str:
    path: list[tuple[int, str]] = []
    for _, level, words in above:
        path = [p for p in path if p[0] < level]
        path.append((level, words))
    return " › ".join(words for _, words in path)


@lru_cache(maxsize=8)
def _splitter(tokenizer: Tokenizer, markdown: bool) -> MarkdownSplitter | TextSplitter:
    kind = MarkdownSplitter if markdown else TextSplitter
    return kind.from_huggingface_tokenizer(tokenizer, CHUNK_TOKENS)
