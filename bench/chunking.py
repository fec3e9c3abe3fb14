"""Chunks beside windows of 200 tokens: what of the passages that answer is found. `python -m bench chunking`.

Of each question the five nearest chunks are taken, by vectors alone. Recall: which share of the characters that answer
it they hold. IoU: those characters over all that are either found or answer. The collection stands in the folder
`chunking` of `--data`: `corpora/*.md`, and `questions.jsonl` with `question`, `corpus_id` and `references`, each with
`start_index` and `end_index` (characters). That of chunking_evaluation (MIT) has this form.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import uvloop
from tokenizers import Tokenizer

from bench.report import Figure, Goal, Outcome, Settings, Unavailable
from headrace.knowledge.chunk import CHUNK_TOKENS, chunk
from headrace.knowledge.indexed import indexed_text
from headrace.knowledge.parse import parse
from headrace.models import Embedder, Vectors
from headrace.models.onnx_minilm import open_embedder

K = 5
AT_ONCE = 200

Range = tuple[int, int]


class _Reference(msgspec.Struct):
    start_index: int
    end_index: int


class _Question(msgspec.Struct):
    question: str
    corpus_id: str
    references: list[_Reference]


@dataclass(frozen=True, slots=True)
class Cut:
    """A chunk: of which text, where, and what is embedded of it."""

    text: str
    place: Range
    embedded: str


def run(settings: Settings) -> Outcome:
    folder = settings.data / "chunking"
    if not (folder / "questions.jsonl").is_file():
        raise Unavailable(f"there is no {folder / 'questions.jsonl'}; bench/chunking.py says what it must hold")
    return uvloop.run(_measured(folder))


async def _measured(folder: Path) -> Outcome:
    texts = {p.stem: p.read_text("utf-8") for p in sorted((folder / "corpora").glob("*.md"))}
    lines = (folder / "questions.jsonl").read_text("utf-8").split("\n")
    questions = [msgspec.json.decode(line, type=_Question) for line in lines if line]
    embedder = open_embedder("onnx:all-MiniLM-L6-v2")
    try:
        asked = await embedder.embed([q.question for q in questions], background=True)
        ours = await _scores(embedder, asked, questions, list(_cut(texts, embedder.tokenizer)))
        fixed = await _scores(embedder, asked, questions, list(_windows(texts, embedder.tokenizer)))
    finally:
        await embedder.close()
    return Outcome(
        [
            figure
            for name, mine, theirs in zip((f"recall@{K}", f"IoU@{K}"), ours, fixed, strict=True)
            for figure in (
                Figure(name, "headrace", "%", round(100 * mine, 2), goals=(Goal("more than windows", mine > theirs),)),
                Figure(name, f"windows of {CHUNK_TOKENS} tokens", "%", round(100 * theirs, 2)),
            )
        ],
        (f"{len(questions)} questions over {len(texts)} texts",),
    )


def _cut(texts: Mapping[str, str], tokenizer: Tokenizer) -> Iterator[Cut]:
    for name, text in texts.items():
        parsed = parse(f"{name}.md", text.encode())
        title = parsed.title if parsed.stated else ""
        for piece in chunk(parsed, tokenizer):
            yield Cut(name, (piece.start, piece.end), indexed_text(title, piece.heading, piece.text))


def _windows(texts: Mapping[str, str], tokenizer: Tokenizer) -> Iterator[Cut]:
    for name, text in texts.items():
        offsets = tokenizer.encode(text, add_special_tokens=False).offsets
        for n in range(0, len(offsets), CHUNK_TOKENS):
            start, end = offsets[n][0], offsets[min(n + CHUNK_TOKENS, len(offsets)) - 1][1]
            yield Cut(name, (start, end), text[start:end])


async def _scores(
    embedder: Embedder, asked: Vectors, questions: Sequence[_Question], cuts: Sequence[Cut]
) -> tuple[float, float]:
    """Means of recall and IoU over the questions."""
    pages = [cuts[n : n + AT_ONCE] for n in range(0, len(cuts), AT_ONCE)]
    vectors = np.concatenate([await embedder.embed([c.embedded for c in p], background=True) for p in pages])
    recalls: list[float] = []
    overlaps: list[float] = []
    for question, scores in zip(questions, asked @ vectors.T, strict=True):
        found: defaultdict[str, list[Range]] = defaultdict(list)
        for n in [int(x) for x in np.argsort(-scores)[:K].tolist()]:
            found[cuts[n].text].append(cuts[n].place)
        wanted = _merged((r.start_index, r.end_index) for r in question.references)
        shared = _shared(wanted, _merged(found[question.corpus_id]))
        taken = sum(_size(_merged(ranges)) for ranges in found.values())
        recalls.append(shared / _size(wanted))
        overlaps.append(shared / (_size(wanted) + taken - shared))
    return statistics.mean(recalls), statistics.mean(overlaps)


def _merged(ranges: Iterable[Range]) -> Sequence[Range]:
    merged: list[Range] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _size(ranges: Iterable[Range]) -> int:
    return sum(end - start for start, end in ranges)


def _shared(some: Sequence[Range], others: Sequence[Range]) -> int:
    return sum(max(0, min(b, d) - max(a, c)) for a, b in some for c, d in others)
