# pyright: basic, reportMissingImports=false
"""Pathway's side of `python -m bench pipeline`, run by its own environment.

    python pathway_chunks.py FOLDER DSN STATE

A folder read once (`mode="static"`), cut, embedded and written as a snapshot to a table made beforehand, with an HNSW
index from the start, with its state kept in STATE. A second run over the same state is a process of its own
(`again` as STEP): a graph runs once in a process.
"""

import os
import sys

import numpy as np
import pathway as pw
import psycopg
from common import DIMENSIONS, ready, sections, timed, vector
from psycopg.conninfo import conninfo_to_dict

FOLDER, DSN, STATE = sys.argv[1:4]
STEP = sys.argv[4] if len(sys.argv) > 4 else "first"
if STEP == "first":
    with psycopg.connect(DSN, autocommit=True) as connection:
        connection.execute("create extension if not exists vector")
        table = (
            f"create table chunks (chunk text primary key, filename text, text text, embedding vector({DIMENSIONS}))"
        )
        connection.execute(table.encode())
        connection.execute("create index on chunks using hnsw (embedding vector_ip_ops)")


@pw.udf
def cut(path: pw.Json, text: str) -> list[tuple[str, str, str]]:
    name = str(path["path"].as_str())
    return [(f"{name}#{n}", name, chunk) for n, chunk in enumerate(sections(text))]


@pw.udf
def embedded(text: str) -> np.ndarray:
    return np.array(vector(text), np.float32)


read = pw.io.fs.read(FOLDER, format="plaintext_by_file", mode="static", with_metadata=True, name="files")
pieces = read.select(piece=cut(pw.this._metadata, pw.this.data)).flatten(pw.this.piece)
parts = pieces.select(chunk=pw.this.piece[0], filename=pw.this.piece[1], text=pw.this.piece[2])
chunks = parts.select(pw.this.chunk, pw.this.filename, pw.this.text, embedding=embedded(pw.this.text))
pw.io.postgres.write(
    chunks,
    conninfo_to_dict(DSN),
    "chunks",
    output_table_type="snapshot",
    primary_key=[chunks.chunk],
    max_batch_size=1000,
)
kept = pw.persistence.Config(pw.persistence.Backend.filesystem(STATE))
ready()
timed(STEP, lambda: pw.run(monitoring_level=pw.MonitoringLevel.NONE, persistence_config=kept))
sys.stdout.flush()
os._exit(0)  # its threads may outlive what they were for
