# pyright: basic, reportMissingImports=false
"""LangChain's side: `index` with its SQL record manager into PGVectorStore. Run by its own environment.

    python langchain_index.py FOLDER DSN STATE

The vector index is made after the first load, as its documentation applies one, and is told apart.
"""

import sys

from common import ready, timed, vector
from langchain_core.embeddings import Embeddings
from langchain_postgres.v2.indexes import HNSWIndex
from langchain_store import DISTANCE, Chunks

FOLDER, DSN, STATE = sys.argv[1:4]


class Free(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return vector(text)


chunks = Chunks(DSN, Free())
ready()
timed("first", lambda: chunks.load(FOLDER))
timed("index", lambda: chunks.store.apply_vector_index(HNSWIndex(distance_strategy=DISTANCE)))
timed("again", lambda: chunks.load(FOLDER))
