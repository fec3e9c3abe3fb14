"""Port: what was said before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from headrace.stores.values import Object


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation; `focus` is what the answer was about, for follow-up questions. `documents`: what it
    was made from."""

    role: Literal["user", "assistant"]
    text: str
    focus: Object
    at: int
    documents: tuple[str, ...] = ()


class ConversationReader(Protocol):
    async def turns(self, conversation: str, user: str | None, limit: int) -> Sequence[Turn]:
        """The last `limit` turns, oldest first, without those made from a document that the snapshot's viewer may not
        read now. Raises NotFound when the conversation belongs to another user."""
        ...
