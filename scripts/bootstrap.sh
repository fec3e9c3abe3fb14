#!/bin/sh
# Finds a Python of version 3.11 or newer and hands over to bootstrap.py. Arguments are passed on.
# PYTHON=/path/to/python names one to try first.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
seen=''

fits() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || return 1
    # Debian's python3-minimal starts, but lacks what follows.
    "$1" -c 'import ctypes, ssl, subprocess, tomllib, zipfile' >/dev/null 2>&1
}

describe() {
    version=$("$1" -c 'import sys; print(sys.version.split()[0])' 2>/dev/null) || version='does not run'
    seen="$seen
  $1 ($version)"
}

for name in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.14 python; do
    if [ -z "$name" ]; then continue; fi
    found=$(command -v -- "$name" 2>/dev/null) || continue
    if fits "$found"; then exec "$found" "$here/bootstrap.py" "$@"; fi
    describe "$found"
done

# Where uv is installed already, it may know Pythons that are not on PATH.
if command -v uv >/dev/null 2>&1; then
    found=$(UV_PYTHON_DOWNLOADS=never uv python find --no-project '>=3.11' 2>/dev/null) || found=''
    if [ -n "$found" ] && fits "$found"; then exec "$found" "$here/bootstrap.py" "$@"; fi
fi

cat >&2 <<MESSAGE
Headrace needs Python 3.11 or newer, with its standard library; none was found.
Looked at:${seen:-
  nothing named python3 or python is on PATH}
Install one (Debian 12: apt-get install python3; macOS: brew install python), or name the one to use:
  make demo PYTHON=/path/to/python3.12
MESSAGE
exit 1
