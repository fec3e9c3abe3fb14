# pyright: basic, reportMissingImports=false
"""LangChain's side: `index` with its SQL record manager into PGVectorStore. Run by its own environment.

    python langchain_index.py FOLDER DSN STATE

Its documents are the chunks. The vector index is made after the first load, as its documentation applies one, and is
told apart.
"""

import sys

from common import AT_ONCE, DIMENSIONS, files, ready, sections, timed, vector
from langchain_classic.indexes import SQLRecordManager
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.indexing import index
from langchain_postgres import PGEngine, PGVectorStore
from langchain_postgres.v2.indexes import DistanceStrategy, HNSWIndex

FOLDER, DSN, STATE = sys.argv[1:4]
ADDRESS = DSN.replace("postgresql://", "postgresql+psycopg://")


class Free(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return vector(text)


engine = PGEngine.from_connection_string(ADDRESS)
engine.init_vectorstore_table("chunks", DIMENSIONS)
store = PGVectorStore.create_sync(engine, Free(), "chunks", distance_strategy=DistanceStrategy.INNER_PRODUCT)
manager = SQLRecordManager("bench", db_url=ADDRESS)
manager.create_schema()


def load() -> None:
    chunks = [
        Document(page_content=chunk, metadata={"source": path, "n": n})
        for path, text in files(FOLDER)
        for n, chunk in enumerate(sections(text))
    ]
    index(chunks, manager, store, batch_size=AT_ONCE, cleanup="incremental", source_id_key="source")


ready()
timed("first", load)
timed("index", lambda: store.apply_vector_index(HNSWIndex(distance_strategy=DistanceStrategy.INNER_PRODUCT)))
timed("again", load)
