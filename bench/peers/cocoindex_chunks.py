# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
"""CocoIndex's side of `python -m bench pipeline`, run by its own environment.

    python cocoindex_chunks.py FOLDER DSN STATE

As bench/peers/cocoindex_flow.py, but with an HNSW index (`method="hnsw"`), an embedder that costs nothing, and the
chunks that the bench wrote; one update, not live, and then the same once more.
"""

import pathlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

import asyncpg
import cocoindex as coco
import numpy as np
from cocoindex.connectors import localfs, postgres
from cocoindex.resources.file import FileLike, PatternFilePathMatcher
from cocoindex.resources.id import IdGenerator
from cocoindex.resources.schema import VectorSchema
from common import DIMENSIONS, ready, sections, timed, vector
from numpy.typing import NDArray

FOLDER, DSN, STATE = sys.argv[1:4]
DATABASE = coco.ContextKey[asyncpg.Pool]("bench")
VECTOR = VectorSchema(dtype=np.dtype(np.float32), size=DIMENSIONS)


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


@coco.fn(memo=True)
async def process_file(file: FileLike, table: postgres.TableTarget[Row]) -> None:
    filename, ids = file.file_path.path.as_posix(), IdGenerator()
    for chunk in sections(await file.read_text()):
        made = np.array(vector(chunk), np.float32)
        table.declare_row(row=Row(id=await ids.next_id(chunk), filename=filename, text=chunk, embedding=made))


@coco.fn
async def main(folder: pathlib.Path) -> None:
    table = await postgres.mount_table_target(
        DATABASE, table_name="chunks", table_schema=await postgres.TableSchema.from_class(Row, primary_key=["id"])
    )
    table.declare_vector_index(column="embedding", metric="ip", method="hnsw")
    matcher = PatternFilePathMatcher(included_patterns=["**/*.md"])
    files = localfs.walk_dir(folder, recursive=True, path_matcher=matcher)
    await coco.mount_each(process_file, files.items(), table)


if __name__ == "__main__":
    app = coco.App(coco.AppConfig(name="bench"), main, folder=pathlib.Path(FOLDER))
    ready()
    timed("first", app.update_blocking)
    timed("again", app.update_blocking)
