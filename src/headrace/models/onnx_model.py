"""A model's folder, loaded: its ONNX file, its tokenizer, and what it says of itself."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from headrace.errors import BadInput, ConfigError
from headrace.models import onnx_graph
from headrace.models.onnx_graph import Graph
from headrace.models.pooling import POOLINGS, Folder, Vector, read

DEFAULT_MAX_TOKENS = 256
UNIT = 1e-4
"""How far from 1 a length may be that counts as 1."""
OUTPUTS = ("sentence_embedding", "token_embeddings", "last_hidden_state")
"""By the names that exporters give them: a sentence's vector rather than those of its tokens."""
REBUILD = "Make it with `make dev`, or with `python -m headrace.models.build_minilm`."
EXPECTED = "input_ids (and attention_mask, token_type_ids) in, one unit vector or one vector for each token out"
EXPORT = "Export the model with one of these outputs, such as with `optimum-cli export onnx --task feature-extraction`."


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of an address: what is otherwise than the folder says."""

    file: str = ""
    pooling: str = ""
    max_tokens: int | None = None
    query_prefix: str | None = None
    document_prefix: str | None = None
    runtime: str = ""
    name: str = ""


class _Manifest(msgspec.Struct, frozen=True):
    """What stands beside a model of ours; a folder of another maker need not have it."""

    name: str
    precision: str
    max_tokens: int
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model: threads may share it."""

    id: str
    dimensions: int
    max_tokens: int
    tokenizer: Tokenizer  # neither truncates nor pads
    truncating: Tokenizer
    graph: Graph
    output: str
    folder: Folder

    def vector(self, text: str) -> Vector:
        """The unit vector of one text, shape (dimensions,). Blocks. Raises BadInput."""
        made = self.made(text)
        vector = self.pooled(made) if made.ndim == 2 else made.astype(np.float32, copy=False)
        norm = np.linalg.norm(vector)
        # What the graph has made to length 1 keeps its bits.
        return vector if abs(norm - 1) < UNIT else (vector / norm).astype(np.float32)

    def pooled(self, tokens: NDArray[Any]) -> Vector:
        """Of shape (tokens, width), one vector."""
        floats = tokens.astype(np.float32, copy=False)
        return np.concatenate([POOLINGS[name](floats) for name in self.folder.poolings])

    def made(self, text: str) -> NDArray[Any]:
        """What the graph gives for a text, without the batch of one: a vector, or one for each token. Raises
        BadInput."""
        try:
            ids = self.truncating.encode(text.lower() if self.folder.lower else text).ids
        except (TypeError, ValueError) as error:
            got = f"{type(error).__name__} from the tokenizer (a lone surrogate?)"
            raise _unembeddable("Unicode text", got) from error
        if not ids:
            raise _unembeddable("a text with a token", "one without")
        return self.graph.run(self.output, onnx_graph.feed(ids, None, self.graph.inputs))[0]


def load(folder: Path, file: Path, settings: Settings, remedy: str) -> Model:
    """The model whose graph is `file`. Raises ConfigError; `remedy` is for what cannot be read."""
    digest = onnx_graph.digest(file)
    manifest = _manifest(folder)
    if manifest and manifest.files.get("model.onnx") != digest:
        raise unusable(f"model.onnx with the SHA-256 of {folder / 'manifest.json'}", digest, remedy)
    try:
        said = _said(read(folder), settings)
        graph = onnx_graph.open_graph(file, settings.runtime)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except msgspec.MsgspecError as error:
        raise unusable(f"settings of a model in {folder}", str(error), "Download the folder again.") from None
    except ConfigError:
        raise
    except Exception as error:  # those of runtimes and tokenizers share no base class
        raise unusable(f"a readable model in {folder}", onnx_graph.said(error), remedy) from error
    told = manifest.max_tokens if manifest else said.max_tokens or onnx_graph.truncation(tokenizer)
    truncating = Tokenizer.from_str(tokenizer.to_str())
    for each in (tokenizer, truncating):
        each.no_padding()
        each.no_truncation()
    most = settings.max_tokens or told or DEFAULT_MAX_TOKENS
    truncating.enable_truncation(most)  # pyright: ignore[reportUnknownMemberType]
    output = next((name for name in OUTPUTS if name in graph.outputs), graph.outputs[0])
    name = f"{manifest.name}/{manifest.precision}" if manifest else settings.name or folder.resolve().name
    id = f"{name}/{digest[:12]}{graph.mark}"
    return _probed(folder, Model(id, 0, most, tokenizer, truncating, graph, output, said))


def _probed(folder: Path, model: Model) -> Model:
    """Embeds two texts to see that the model has the shape that is promised; this also warms it up."""
    inputs = model.graph.inputs
    if not inputs <= onnx_graph.KNOWN_INPUTS or "input_ids" not in inputs:
        raise unusable(EXPECTED, f"inputs {sorted(inputs)} in {folder}", EXPORT)
    texts = ("a probe", "a probe that is longer than " + "many words " * model.max_tokens)
    try:
        made = [model.made(text) for text in texts]
    except Exception as error:  # those of runtimes share no base class
        raise unusable(EXPECTED, onnx_graph.said(error), EXPORT) from error
    by_token = made[0].ndim == 2
    if by_token:
        _check_poolings(folder, model.folder)
    vectors = [model.pooled(each) if each.ndim == 2 else each for each in made]
    if any(v.ndim != 1 or v.shape != vectors[0].shape or not 0 < np.linalg.norm(v) < np.inf for v in vectors):
        got = f"output {model.output} of shapes {', '.join(str((1, *m.shape)) for m in made)} in {folder}"
        raise unusable(EXPECTED, got, EXPORT)
    return replace(model, id=_named(model, by_token=by_token), dimensions=len(vectors[0]))


def _check_poolings(folder: Path, said: Folder) -> None:
    remedy = "Export the model with its pooling inside the graph, or name another with &pooling=NAME."
    if strange := [*said.beyond, *(name for name in said.poolings if name not in POOLINGS)]:
        raise unusable(f"pooling by {', '.join(POOLINGS)} in {folder}", ", ".join(strange), remedy)


def _named(model: Model, *, by_token: bool) -> str:
    """How tokens are pooled, and what is put before texts, is in their vectors, and so in the id."""
    pooled = "+" + "+".join(model.folder.poolings) if by_token else ""
    prefix = f"#{quote(model.folder.document_prefix)}" if model.folder.document_prefix else ""
    return f"{model.id}{pooled}{prefix}"


def _said(said: Folder, settings: Settings) -> Folder:
    """What the folder says, and the address otherwise."""
    query, document = settings.query_prefix, settings.document_prefix
    return msgspec.structs.replace(
        said,
        poolings=(settings.pooling,) if settings.pooling else said.poolings,
        query_prefix=said.query_prefix if query is None else query,
        document_prefix=said.document_prefix if document is None else document,
    )


def _manifest(folder: Path) -> _Manifest | None:
    with contextlib.suppress(FileNotFoundError):
        try:
            return msgspec.json.decode((folder / "manifest.json").read_bytes(), type=_Manifest)
        except msgspec.DecodeError as error:
            raise unusable(f"a manifest in {folder / 'manifest.json'}", str(error), REBUILD) from error
    return None


def _unembeddable(expected: str, got: str) -> BadInput:
    return BadInput(step="embed a text", expected=expected, got=got, remedy="Correct the text at its source.")


def unusable(expected: str, got: str, remedy: str) -> ConfigError:
    return ConfigError(step="open the embedding model", expected=expected, got=got, remedy=remedy)
