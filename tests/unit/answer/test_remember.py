"""Vectors that are remembered are all of the model that serves."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.answer.remember import Remembered
from headrace.knowledge.succession import Serving
from headrace.models import Vectors
from tests.unit.test_knowledge_operator import Embedder


async def test_each_text_is_embedded_once_for_each_model() -> None:
    first, second = Embedder(), Embedder()
    second.id = "another"
    serving = Serving(first)
    remembered = Remembered(serving)

    await remembered.embed(["a", "b", "a"])
    await remembered.embed(["b"])
    serving.now = second
    assert remembered.known("a") is None
    await remembered.embed(["a"])

    assert (first.embedded, second.embedded) == (["a", "b"], ["a"])


async def test_a_model_that_changes_meanwhile_embeds_all_of_them() -> None:
    first, second = Embedder(), Embedder()
    second.id = "another"
    serving = Serving(first)
    remembered = Remembered(serving)
    await remembered.embed(["known"])

    class Slow(Embedder):
        async def embed(self, texts: Sequence[str], *, background: bool = False, query: bool = False) -> Vectors:
            made = await super().embed(texts, background=background)
            serving.now = second
            return made

    slow = Slow()
    serving.now = slow
    slow.id = first.id
    await remembered.embed(["known", "new"])

    assert second.embedded == ["known", "new"]
    assert remembered.model == "another"
