"""Embedder `sagemaker:`: an endpoint of Amazon SageMaker that answers as Hugging Face's containers do.

    sagemaker://eu-west-1/my-endpoint?dimensions=1024

It is sent `{"inputs": ["…", "…"]}` and may answer with a vector for each text (Text Embeddings Inference), with one
for each token of each text (the pipeline `feature-extraction`: their mean is taken), or with either of them under
`embeddings` or `embedding`. Query parameters beside those of `headrace.models.remote`: `endpoint`; `component`, the
inference component on an endpoint of several; `variant`, the production variant.
https://huggingface.co/docs/text-embeddings-inference/quick_tour
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from headrace.models.address import read, unusable
from headrace.models.asked import Rows, Vectors, garbage
from headrace.models.aws import AwsRemote, Runtime
from headrace.models.remote import RemoteEmbedder, opened

FORM = "sagemaker://REGION/ENDPOINT"
JSON = "application/json"
MAX_TOKENS = 512
"""What most such models read, where the address does not say."""


class Settings(AwsRemote, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query of an address."""

    component: str = ""
    variant: str = ""


class _Named(msgspec.Struct, frozen=True):
    embeddings: msgspec.Raw = msgspec.Raw()
    embedding: msgspec.Raw = msgspec.Raw()


class SageMaker:
    """Implements `headrace.models.asked.Asked`."""

    def __init__(self, region: str, endpoint: str, settings: Settings) -> None:
        part = f"?component={settings.component}" if settings.component else ""
        self.id = f"sagemaker://{region}/{endpoint}{part}"
        self.shown = f"SageMaker in {region} with {endpoint}"
        named = {"InferenceComponentName": settings.component, "TargetVariant": settings.variant}
        self._named = {name: value for name, value in named.items() if value}
        self._endpoint = endpoint
        self._runtime = Runtime("sagemaker-runtime", region, settings)

    async def ask(self, texts: Sequence[str], *, query: bool) -> Vectors:
        """Raises Trouble."""
        del query  # a prefix may make the difference
        body = msgspec.json.encode({"inputs": list(texts)}).decode()
        reply = await self._runtime.ask(
            "invoke_endpoint", EndpointName=self._endpoint, Body=body, ContentType=JSON, Accept=JSON, **self._named
        )
        try:
            return Vectors(rows(reply.content), None)
        except (msgspec.MsgspecError, ValueError) as error:
            raise garbage("a list with a vector, or with one for each token, for each text", error) from None

    async def close(self) -> None:
        await self._runtime.close()


def rows(content: bytes) -> Rows:
    """A vector for each text. Raises MsgspecError or ValueError for what has another form."""
    if content.lstrip().startswith(b"{"):
        named = msgspec.json.decode(content, type=_Named)
        content = bytes(named.embeddings) or bytes(named.embedding)
    found = msgspec.json.decode(content, type=list[msgspec.Raw])
    return [_mean(msgspec.json.decode(each)) for each in found]


def _mean(value: object) -> list[float]:
    """Of one text: its vector as it is, or the mean of those of its tokens, under a batch of one or not."""
    try:
        made: NDArray[np.float64] = np.asarray(value, np.float64)
    except TypeError:
        raise ValueError("something that is no number in a vector") from None
    if made.ndim == 3 and len(made) == 1:
        made = made[0]
    if made.ndim == 2 and len(made):
        made = made.mean(axis=0)
    if made.ndim != 1:
        raise ValueError(f"lists {made.ndim} deep for one text")
    return made.tolist()


def open_embedder(url: str) -> RemoteEmbedder:
    """The embedder of an address. Raises ConfigError, and EmbeddingError when it does not answer."""
    parts, settings, key = read(url, Settings, FORM)
    endpoint = parts.path.removeprefix("/")
    if not endpoint or "/" in endpoint or parts.port or key:
        raise unusable(
            FORM + ", and credentials where boto3 finds them", f"{parts.scheme}://{parts.netloc}{parts.path}"
        )
    return opened(SageMaker(parts.netloc, endpoint, settings), settings, settings.max_tokens or MAX_TOKENS)
