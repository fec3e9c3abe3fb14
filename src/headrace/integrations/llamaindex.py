"""LlamaIndex: `HeadraceRetriever`, with `pip install headrace[llamaindex]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.vector_stores.types import MetadataFilters

from headrace.integrations.http import Passage, Search
from headrace.integrations.llamaindex_filters import limited


class HeadraceRetriever(BaseRetriever):
    """Passages of a running Headrace as nodes with scores; `metadata` says where each is from and how fresh it is.

    HeadraceRetriever("http://127.0.0.1:8420", k=5).retrieve("baggage allowance")

    `filters` and `filter` (as in `POST /v1/search`) must both hold. Raises BadRequest for filters that a search cannot
    demand.
    """

    def __init__(
        self,
        url: str,
        *,
        k: int = 10,
        filter: Mapping[str, Any] | None = None,
        filters: MetadataFilters | None = None,
        after: str | None = None,
        as_of: str | None = None,
        neighbours: int = 0,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        rerank: bool | None = None,
    ) -> None:
        asked = (limited(filter, filters), after, as_of, neighbours, token, headers, rerank)
        self._search = Search(url, k, *asked)
        super().__init__()  # pyright: ignore[reportUnknownMemberType]

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [_node(p) for p in self._search.now(query_bundle.query_str)]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [_node(p) for p in await self._search.soon(query_bundle.query_str)]


def _node(passage: Passage) -> NodeWithScore:
    node = TextNode(id_=passage.id, text=passage.text, metadata=passage.metadata)
    node.excluded_embed_metadata_keys = node.excluded_llm_metadata_keys = [
        name for name in passage.metadata if name not in ("title", "heading", "committed_at", "superseded")
    ]
    return NodeWithScore(node=node, score=passage.score)
