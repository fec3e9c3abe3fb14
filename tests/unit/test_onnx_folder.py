"""`onnx:` folders as models have them at Hugging Face: tokens' vectors pooled as the folder says."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

from headrace.errors import ConfigError
from headrace.models.build_minilm import TARGET, build, is_current
from headrace.models.onnx_minilm import OnnxEmbedder, open_embedder

WIDTH = 6
TEXT = "a seat by the window"
Floats = NDArray[np.float32]


@dataclass
class Folder:
    """A folder with a model that gives one random vector for each token, so that all can be worked out by hand."""

    path: Path
    tokenizer: Tokenizer = field(init=False)
    table: Floats = field(init=False)

    def __post_init__(self) -> None:
        if not is_current(TARGET):
            build(TARGET)
        self.path.mkdir(exist_ok=True)
        shutil.copy(TARGET / "tokenizer.json", self.path / "tokenizer.json")
        self.tokenizer = Tokenizer.from_file(str(TARGET / "tokenizer.json"))
        tokens = self.tokenizer.get_vocab_size()
        self.table = np.random.default_rng(3).standard_normal((tokens, WIDTH)).astype(np.float32)

    def model(
        self,
        file: str = "model.onnx",
        output: str = "last_hidden_state",
        inputs: Sequence[str] = ("input_ids", "attention_mask"),
        kind: int = TensorProto.FLOAT,
        pooled: bool = False,
    ) -> Folder:
        """Batch and length are open, as exporters leave them. With `pooled` a first output has the tokens' sum too."""
        nodes = [helper.make_node("Gather", ["table", "input_ids"], ["each"])]
        nodes.append(helper.make_node("Cast", ["each"], [output], to=kind))
        outputs = [helper.make_tensor_value_info(output, kind, ["batch", "tokens", WIDTH])]
        if pooled:
            nodes.append(helper.make_node("ReduceSum", ["each", "axes"], ["sentence_embedding"], keepdims=0))
            outputs.append(helper.make_tensor_value_info("sentence_embedding", kind, ["batch", WIDTH]))
        taken = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in inputs]
        constants = [numpy_helper.from_array(self.table, "table"), numpy_helper.from_array(np.array([1]), "axes")]
        graph = helper.make_graph(nodes, "tokens", taken, outputs, constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        (self.path / file).parent.mkdir(parents=True, exist_ok=True)
        (self.path / file).write_bytes(made.SerializeToString())
        return self

    def says(self, file: str, content: object) -> Folder:
        (self.path / file).parent.mkdir(parents=True, exist_ok=True)
        (self.path / file).write_text(json.dumps(content))
        return self

    def pools(self, *modes: str) -> Folder:
        wanted: dict[str, object] = {f"pooling_mode_{mode}": True for mode in modes}
        return self.says("1_Pooling/config.json", {"word_embedding_dimension": WIDTH, **wanted})

    def tokens(self, text: str, most: int = 1000) -> Floats:
        self.tokenizer.enable_truncation(most)  # pyright: ignore[reportUnknownMemberType]
        return self.table[self.tokenizer.encode(text).ids]

    @asynccontextmanager
    async def opened(self, query: str = "") -> AsyncGenerator[OnnxEmbedder]:
        embedder = open_embedder(f"onnx:{self.path}{query}")
        try:
            yield embedder
        finally:
            await embedder.close()

    async def embeds(self, text: str, query: str = "", *, asks: bool = False) -> Floats:
        async with self.opened(query) as embedder:
            return (await embedder.embed([text], query=asks))[0]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "some-model")


def unit(vector: Floats) -> Floats:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


POOLED: list[tuple[tuple[str, ...], Callable[[Floats], Floats]]] = [
    (("mean_tokens",), lambda t: t.mean(axis=0)),
    (("cls_token",), lambda t: t[0]),
    (("max_tokens",), lambda t: t.max(axis=0)),
    (("lasttoken",), lambda t: t[-1]),
    (("mean_sqrt_len_tokens",), lambda t: t.sum(axis=0) / np.sqrt(len(t))),
    (("cls_token", "mean_tokens"), lambda t: np.concatenate([t[0], t.mean(axis=0)])),
]


@pytest.mark.parametrize(("modes", "by_hand"), POOLED, ids=["+".join(modes) for modes, _ in POOLED])
async def test_tokens_are_pooled_as_the_folder_says(
    folder: Folder, modes: tuple[str, ...], by_hand: Callable[[Floats], Floats]
) -> None:
    folder.model().pools(*modes)

    vector = await folder.embeds(TEXT)

    np.testing.assert_allclose(vector, unit(by_hand(folder.tokens(TEXT))), atol=1e-6)


async def test_without_a_word_on_pooling_it_is_the_mean_and_an_address_may_say_otherwise(folder: Folder) -> None:
    folder.model()

    mean, cls = await folder.embeds(TEXT), await folder.embeds(TEXT, "?pooling=cls")

    np.testing.assert_allclose(mean, unit(folder.tokens(TEXT).mean(axis=0)), atol=1e-6)
    np.testing.assert_allclose(cls, unit(folder.tokens(TEXT)[0]), atol=1e-6)


async def test_pooling_is_found_where_the_modules_say(folder: Folder) -> None:
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "pool", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    folder.model().says("modules.json", modules).says("pool/config.json", {"pooling_mode_cls_token": True})

    vector = await folder.embeds(TEXT)

    np.testing.assert_allclose(vector, unit(folder.tokens(TEXT)[0]), atol=1e-6)


async def test_a_sentences_vector_is_taken_before_those_of_its_tokens_and_made_to_length_1(folder: Folder) -> None:
    folder.model(pooled=True).pools("cls_token")

    vector = await folder.embeds(TEXT)

    np.testing.assert_allclose(vector, unit(folder.tokens(TEXT).sum(axis=0)), atol=1e-6)


async def test_half_precision_is_made_single(folder: Folder) -> None:
    folder.model(kind=TensorProto.FLOAT16).pools("mean_tokens")

    vector = await folder.embeds(TEXT)

    assert vector.dtype == np.float32
    np.testing.assert_allclose(vector, unit(folder.tokens(TEXT).mean(axis=0)), atol=2e-3)


async def test_a_model_in_the_folder_onnx_and_one_by_its_name(folder: Folder) -> None:
    folder.model("onnx/model.onnx").model("onnx/model_q.onnx", inputs=("input_ids", "position_ids"))

    first, second = await folder.embeds(TEXT), await folder.embeds(TEXT, "?file=onnx/model_q.onnx")

    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize(
    ("file", "content", "most"),
    [
        ("sentence_bert_config.json", {"max_seq_length": 7, "do_lower_case": False}, 7),
        ("tokenizer_config.json", {"model_max_length": 9}, 9),
        ("config.json", {"max_position_embeddings": 11}, 11),
        ("tokenizer_config.json", {"model_max_length": 1e30}, 256),
        ("config.json", {"hidden_size": WIDTH}, 256),
    ],
)
async def test_how_much_is_read_of_a_text(folder: Folder, file: str, content: object, most: int) -> None:
    folder.model().says(file, content)
    long = "word " * 400

    async with folder.opened() as embedder:
        read = embedder.max_tokens
        vector = (await embedder.embed([long]))[0]
        counted = embedder.count_tokens(long)

    assert read == most
    assert counted == 402
    np.testing.assert_allclose(vector, unit(folder.tokens(long, most).mean(axis=0)), atol=1e-5)


async def test_what_is_read_may_be_set(folder: Folder) -> None:
    folder.model().says("sentence_bert_config.json", {"max_seq_length": 7})

    async with folder.opened("?max_tokens=5") as embedder:
        assert embedder.max_tokens == 5


async def test_the_tokenizers_own_truncation_and_padding_do_not_count_for_chunks(folder: Folder) -> None:
    folder.model()
    settings = json.loads((folder.path / "tokenizer.json").read_text())
    settings["truncation"] = {"max_length": 12, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    settings["padding"] = {
        "strategy": {"Fixed": 32}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
        "pad_type_id": 0, "pad_token": "[PAD]",
    }  # fmt: skip
    (folder.path / "tokenizer.json").write_text(json.dumps(settings))

    async with folder.opened() as embedder:
        assert embedder.max_tokens == 12
        assert embedder.count_tokens("one two three") == 5
        assert embedder.count_tokens("word " * 40) == 42


async def test_prompts_of_the_folder_stand_before_questions_and_before_what_is_found(folder: Folder) -> None:
    prompts = {"prompts": {"query": "query: ", "document": "passage: "}, "default_prompt_name": None}
    folder.model().says("config_sentence_transformers.json", prompts)

    question, passage = await folder.embeds(TEXT, asks=True), await folder.embeds(TEXT)
    without = await folder.embeds(TEXT, "?document_prefix=")

    np.testing.assert_allclose(question, unit(folder.tokens(f"query: {TEXT}").mean(axis=0)), atol=1e-6)
    np.testing.assert_allclose(passage, unit(folder.tokens(f"passage: {TEXT}").mean(axis=0)), atol=1e-6)
    np.testing.assert_allclose(without, unit(folder.tokens(TEXT).mean(axis=0)), atol=1e-6)


async def test_texts_are_lowered_where_the_folder_says(folder: Folder) -> None:
    settings = json.loads((TARGET / "tokenizer.json").read_text())
    settings["normalizer"] = None
    (folder.path / "tokenizer.json").write_text(json.dumps(settings))
    folder.model().says("sentence_bert_config.json", {"max_seq_length": 64, "do_lower_case": True})

    assert (await folder.embeds("Seat")).tobytes() == (await folder.embeds("seat")).tobytes()


async def test_the_id_changes_with_what_changes_vectors(folder: Folder) -> None:
    folder.model()
    ids: list[str] = []
    for query in ("", "?pooling=cls", "?document_prefix=p:", "?max_tokens=64"):
        async with folder.opened(query) as embedder:
            ids.append(embedder.id)
    folder.table += 1
    folder.model()
    async with folder.opened() as embedder:
        ids.append(embedder.id)

    assert all(id.startswith("some-model/") for id in ids)
    assert ids[0].endswith("+mean")
    assert len(set(ids)) == 4
    assert ids[3] == ids[0]


@pytest.mark.parametrize(
    ("files", "query", "told"),
    [
        ({"1_Pooling/config.json": {"pooling_mode_weightedmean_tokens": True}}, "", "weightedmean"),
        ({"modules.json": [{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}]}, "", "Dense"),
        ({"1_Pooling/config.json": {"pooling_mode_cls_token": "yes"}}, "", "pooling_mode_cls_token"),
        ({}, "?pooling=median", "median"),
        ({}, "?poolign=cls", "poolign"),
        ({}, "?max_tokens=0", "max_tokens above 0"),
        ({}, "?file=model_q.onnx", r"model_q\.onnx in"),
    ],
)
async def test_what_cannot_be_done_as_the_folder_or_the_address_says_is_refused(
    folder: Folder, files: dict[str, object], query: str, told: str
) -> None:
    folder.model()
    for name, content in files.items():
        folder.says(name, content)

    with pytest.raises(ConfigError, match=told):
        open_embedder(f"onnx:{folder.path}{query}")


async def test_a_model_that_wants_more_than_text_is_refused(folder: Folder) -> None:
    folder.model(inputs=("input_ids", "pixel_values"))

    with pytest.raises(ConfigError, match="pixel_values"):
        open_embedder(f"onnx:{folder.path}")
