"""LangChain: `HeadraceRetriever`, with `pip install headrace[langchain]`."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from headrace.integrations.http import Passage, Search


class HeadraceRetriever(BaseRetriever):
    """Passages of a running Headrace as documents; `metadata` says where each is from and how fresh it is.

    HeadraceRetriever(url="http://127.0.0.1:8420", k=5).invoke("baggage allowance")
    """

    url: str
    k: int = 10
    filter: dict[str, Any] | None = None
    after: str | None = None
    as_of: str | None = None
    neighbours: int = 0
    token: str | None = None
    headers: dict[str, str] | None = None

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [_document(p) for p in self._search.now(query)]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        return [_document(p) for p in await self._search.soon(query)]

    @property
    def _search(self) -> Search:
        asked = (self.filter, self.after, self.as_of, self.neighbours, self.token, self.headers)
        return Search(self.url, self.k, *asked)


def _document(passage: Passage) -> Document:
    return Document(page_content=passage.text, metadata=passage.metadata, id=passage.id)
