# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
"""CocoIndex's side, run by CocoIndex's own environment: a folder watched into PostgreSQL with pgvector.

    python cocoindex_flow.py FOLDER DSN STATE MODEL

As its documentation has it: walk_dir(live=True), mount_each, RecursiveSplitter, one row a chunk, no vector index. The
model is the file that Headrace runs, by the same runtime, one thread an inference, because the package that CocoIndex
would take it from fetches its weights from a hub.
"""

import asyncio
import pathlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

import asyncpg
import cocoindex as coco
import numpy as np
import onnxruntime as ort
from cocoindex.connectors import localfs, postgres
from cocoindex.ops.text import RecursiveSplitter
from cocoindex.resources.chunk import Chunk
from cocoindex.resources.file import FileLike, PatternFilePathMatcher
from cocoindex.resources.id import IdGenerator
from cocoindex.resources.schema import VectorSchema
from numpy.typing import NDArray
from tokenizers import Tokenizer

FOLDER, DSN, STATE, MODEL = sys.argv[1:5]
DATABASE = coco.ContextKey[asyncpg.Pool]("bench")
VECTOR = VectorSchema(dtype=np.dtype(np.float32), size=384)

options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(f"{MODEL}/model.onnx", options, providers=["CPUExecutionProvider"])
inputs = {argument.name for argument in session.get_inputs()}
tokenizer = Tokenizer.from_file(f"{MODEL}/tokenizer.json")
tokenizer.no_padding()
tokenizer.enable_truncation(256)
splitter = RecursiveSplitter()


@dataclass
class Row:
    id: int
    filename: str
    text: str
    embedding: Annotated[NDArray, VECTOR]


@coco.lifespan
async def lifespan(builder: coco.EnvironmentBuilder) -> AsyncIterator[None]:
    builder.settings.db_path = pathlib.Path(STATE)
    async with await asyncpg.create_pool(DSN) as pool:
        builder.provide(DATABASE, pool)
        yield


def infer(text: str) -> NDArray:
    ids = np.array([tokenizer.encode(text).ids], np.int64)
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    return session.run(None, {name: value for name, value in feed.items() if name in inputs})[0][0]


@coco.fn(memo=True)
async def embed(text: str) -> NDArray:
    return await asyncio.to_thread(infer, text)


@coco.fn
async def process_chunk(chunk: Chunk, filename: str, ids: IdGenerator, table: postgres.TableTarget[Row]) -> None:
    row = Row(
        id=await ids.next_id(chunk.text),
        filename=filename,
        text=chunk.text,
        embedding=await embed(chunk.text),
    )
    table.declare_row(row=row)


@coco.fn(memo=True)
async def process_file(file: FileLike, table: postgres.TableTarget[Row]) -> None:
    text = await file.read_text()
    chunks = splitter.split(text, chunk_size=2000, chunk_overlap=500, language="markdown")
    await coco.map(process_chunk, chunks, file.file_path.path.as_posix(), IdGenerator(), table)


@coco.fn
async def main(folder: pathlib.Path) -> None:
    table = await postgres.mount_table_target(
        DATABASE, table_name="chunks", table_schema=await postgres.TableSchema.from_class(Row, primary_key=["id"])
    )
    matcher = PatternFilePathMatcher(included_patterns=["**/*.md"])
    files = localfs.walk_dir(folder, live=True, recursive=True, path_matcher=matcher)
    await coco.mount_each(process_file, files.items(), table)


if __name__ == "__main__":
    coco.App(coco.AppConfig(name="bench"), main, folder=pathlib.Path(FOLDER)).update_blocking(live=True)
