"""What a chunk is found by: its text under its context, the hash of that, its words and its vector."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.knowledge.chunk import Piece
from headrace.knowledge.terms import Bag
from headrace.stores.knowledge import ChunkDraft

GIST: Final = -1
"""The ordinal of the entry by which a document is found as its summary says; what is shown is its first chunk."""


def indexed_text(title: str, heading: str, text: str) -> str:
    """What is embedded and searched of a chunk: under its headings or title, which often name its subject. The title of
    a row does not: it is empty here. A title that is only a file's name is searched for as words, and not embedded: it
    says little of a passage, and a rename would make every vector anew."""
    context = heading or title
    return f"{context}\n{text}" if context and context not in text else text


def text_hash(indexed: str) -> bytes:
    """Of what is embedded of a chunk."""
    return hashlib.sha256(indexed.encode()).digest()


def content_hash(content: bytes) -> str:
    """Of a document's bytes, as it is shown."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def chunk_draft(n: int, piece: Piece, words: Bag, digest: bytes, vector: NDArray[np.float32]) -> ChunkDraft:
    return ChunkDraft(
        n, piece.text, piece.start, piece.end, piece.heading, words.terms, words.counts, words.length, digest, vector,
        piece.place,
    )  # fmt: skip
