"""Says whether a built wheel is whole: page, model file, SQL, demo, types, licences, and nothing that does not belong.

check_wheel.py dist/headrace-0.1.0-py3-none-any.whl
"""

import re
import sys
import zipfile
from pathlib import Path

NEEDED = {
    "the page": r"headrace/server/static/index\.html",
    "the page's script": r"headrace/server/static/.+\.js",
    "the model file": r"headrace/models/data/.+\.onnx",
    "the model's tokenizer": r"headrace/models/data/.*tokenizer.*",
    "the migrations": r"headrace/stores/migrations/.+\.sql",
    "the demo's rows": r"headrace/demo/data/.+",
    "the demo's policies": r"headrace/demo/policies/.+\.md",
    "the typing marker": r"headrace/py\.typed",
    "the licence": r"headrace-[^/]+\.dist-info/licenses/LICENSE",
    "the notice": r"headrace-[^/]+\.dist-info/licenses/NOTICE",
}
UNWANTED = r"(tests|scripts|page|bench)/.*|.*/(__pycache__|node_modules)/.*|.*\.(pyc|map|tsbuildinfo)"
OURS = r"headrace/.*|headrace-[^/]+\.dist-info/.*"


def findings(names: list[str]) -> list[str]:
    """What is absent from, or should not be among, the files of a wheel."""
    absent = [
        f"{what} is absent ({pattern})"
        for what, pattern in NEEDED.items()
        if not any(re.fullmatch(pattern, name) for name in names)
    ]
    unwanted = [name for name in names if re.fullmatch(UNWANTED, name) or not re.fullmatch(OURS, name)]
    return absent + [f"{name} does not belong in the wheel" for name in unwanted]


def main(arguments: list[str]) -> int:
    """Check each wheel named; returns 1 when one is not whole."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    failed = False
    for wheel in map(Path, arguments):
        with zipfile.ZipFile(wheel) as archive:
            found = findings(archive.namelist())
            count = len(archive.namelist())
        for finding in found:
            print(f"{wheel}: {finding}", file=sys.stderr)
        failed = failed or bool(found)
        if not found:
            print(f"{wheel}: whole, {count} files, {wheel.stat().st_size / 1e6:.1f} MB")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
