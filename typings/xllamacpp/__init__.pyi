"""What the tests use of xllamacpp, whose wheel carries no types."""

class CommonParamsModel:
    path: str

class llama_pooling_type:
    LLAMA_POOLING_TYPE_MEAN: llama_pooling_type

class CpuParams:
    n_threads: int

class CommonParams:
    model: CommonParamsModel
    model_alias: set[str]
    cpuparams: CpuParams
    cpuparams_batch: CpuParams
    n_ctx: int
    n_batch: int
    n_ubatch: int
    embedding: bool
    pooling_type: llama_pooling_type
    n_parallel: int
    port: int
    warmup: bool
    endpoint_slots: bool
    api_keys: list[str]

class Server:
    def __init__(self, params: CommonParams) -> None: ...
    @property
    def listening_address(self) -> str: ...
