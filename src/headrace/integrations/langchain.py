"""LangChain: `HeadraceRetriever`, with `pip install headrace[langchain]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from headrace.errors import BadRequest
from headrace.integrations.http import Passage, Search

_ASKED = ("k", "filter", "after", "as_of", "neighbours", "token", "headers", "rerank")


class HeadraceRetriever(BaseRetriever):
    """Passages of a running Headrace as documents; `metadata` says where each is from and how fresh it is.

    HeadraceRetriever(url="http://127.0.0.1:8420", k=5).invoke("baggage allowance")

    Each field can be said for one search too: `retriever.invoke("…", filter={"metadata": {"category": "bags"}}, k=3)`.
    """

    url: str
    k: int = 10
    filter: dict[str, Any] | None = None
    after: str | None = None
    as_of: str | None = None
    neighbours: int = 0
    token: str | None = None
    headers: dict[str, str] | None = None
    rerank: bool | None = None

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **this_time: Any
    ) -> list[Document]:
        return [_document(p) for p in self._search(this_time).now(query)]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **this_time: Any
    ) -> list[Document]:
        return [_document(p) for p in await self._search(this_time).soon(query)]

    def _search(self, this_time: Mapping[str, Any]) -> Search:
        """Raises BadRequest for what no search takes."""
        if unknown := [name for name in this_time if name not in _ASKED]:
            raise BadRequest(
                step="read what a search is asked for",
                expected="one of " + ", ".join(_ASKED),
                got=", ".join(unknown),
                remedy='Limit by metadata as filter={"metadata": {"category": "bags"}}; docs/search.md says more.',
            )
        return Search(self.url, **{**{name: getattr(self, name) for name in _ASKED}, **this_time})


def _document(passage: Passage) -> Document:
    return Document(page_content=passage.text, metadata=passage.metadata, id=passage.id)
