# pyright: basic, reportMissingImports=false
"""LlamaIndex's side: an IngestionPipeline with a document store into PGVectorStore. Run by its own environment.

    python llamaindex_ingest.py FOLDER DSN STATE

A file is a document, cut where the bench put its chunks together. The table has its HNSW index from the start, as its
documentation has it. `again` reads the files anew; `again in memory` is only the pipeline.
"""

import sys

from common import AT_ONCE, DIMENSIONS, files, ready, sections, timed, vector
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.schema import BaseNode, Document, NodeRelationship, RelatedNodeInfo, TextNode, TransformComponent
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.vector_stores.postgres import PGVectorStore

FOLDER, DSN, STATE = sys.argv[1:4]


class Cut(TransformComponent):
    def __call__(self, nodes: list[BaseNode], **_: object) -> list[BaseNode]:
        return [
            TextNode(
                id_=f"{node.node_id}#{n}",
                text=chunk,
                relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=node.node_id)},
            )
            for node in nodes
            for n, chunk in enumerate(sections(node.get_content()))
        ]


class Free(BaseEmbedding):
    def _get_text_embedding(self, text: str) -> list[float]:
        return vector(text)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return [vector(text) for text in texts]

    def _get_query_embedding(self, query: str) -> list[float]:
        return vector(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return vector(query)


store = PGVectorStore.from_params(
    connection_string=DSN.replace("postgresql://", "postgresql+psycopg://"),
    async_connection_string=DSN.replace("postgresql://", "postgresql+asyncpg://"),
    table_name="chunks",
    embed_dim=DIMENSIONS,
    hnsw_kwargs={"hnsw_m": 16, "hnsw_ef_construction": 64, "hnsw_ef_search": 40, "hnsw_dist_method": "vector_ip_ops"},
)
pipeline = IngestionPipeline(
    transformations=[Cut(), Free(model_name="free", embed_batch_size=AT_ONCE)],
    vector_store=store,
    docstore=SimpleDocumentStore(),
    docstore_strategy=DocstoreStrategy.UPSERTS,
    disable_cache=True,
)


def read() -> list[Document]:
    return [Document(id_=path, text=text) for path, text in files(FOLDER)]


ready()
timed("first", lambda: pipeline.run(documents=read()))
timed("again", lambda: pipeline.run(documents=read()))
again = read()
timed("again in memory", lambda: pipeline.run(documents=again))
