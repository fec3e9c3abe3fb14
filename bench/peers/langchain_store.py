# pyright: basic, reportMissingImports=false
"""LangChain's `index` with its SQL record manager into PGVectorStore, whatever embeds. Its documents are the
chunks."""

from common import AT_ONCE, DIMENSIONS, files, sections
from langchain_classic.indexes import SQLRecordManager
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.indexing import index
from langchain_postgres import PGEngine, PGVectorStore
from langchain_postgres.v2.indexes import DistanceStrategy

DISTANCE = DistanceStrategy.INNER_PRODUCT


class Chunks:
    """A table of them, with what is known of its documents beside."""

    def __init__(self, dsn: str, embeddings: Embeddings) -> None:
        address = dsn.replace("postgresql://", "postgresql+psycopg://")
        engine = PGEngine.from_connection_string(address)
        engine.init_vectorstore_table("chunks", DIMENSIONS)
        self.store = PGVectorStore.create_sync(engine, embeddings, "chunks", distance_strategy=DISTANCE)
        self._manager = SQLRecordManager("bench", db_url=address)
        self._manager.create_schema()

    def load(self, folder: str) -> None:
        chunks = [
            Document(page_content=chunk, metadata={"source": path, "n": n})
            for path, text in files(folder)
            for n, chunk in enumerate(sections(text))
        ]
        index(chunks, self._manager, self.store, batch_size=AT_ONCE, cleanup="incremental", source_id_key="source")
