#!/bin/sh
# Makes the servers and programs that tests use available: as root on Debian installs their packages,
# elsewhere names what is missing. Tests of what is missing skip themselves with the reason,
# or fail when HEADRACE_CI=1.
set -eu

have_postgres() { command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }
have_mariadb() { [ -x /usr/sbin/mariadbd ] || command -v mariadbd >/dev/null 2>&1; }
have_chromium() { command -v chromium >/dev/null 2>&1; }
have_zstd() { command -v zstd >/dev/null 2>&1; }
is_debian() { [ -r /etc/os-release ] && (. /etc/os-release && [ "${ID:-}" = debian ]); }

missing=''
have_postgres || missing="$missing postgresql"
have_mariadb || missing="$missing mariadb-server"
have_chromium || missing="$missing chromium"
have_zstd || missing="$missing zstd"
if [ -z "$missing" ]; then exit 0; fi

if ! is_debian || [ "$(id -u)" -ne 0 ]; then
    echo "Not installed:$missing. The tests that need them are skipped, each with its reason." >&2
    if is_debian; then echo "To run them too:  sudo apt-get install --no-install-recommends$missing" >&2; fi
    exit 0
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
    if ! DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 </dev/null; then
        tail -n 30 "$log" >&2
        echo "apt-get $* failed" >&2
        exit 1
    fi
}

echo "Installing Debian packages for the tests:$missing ..." >&2
apt update -q
case "$missing" in
*postgresql*)
    # Tests start servers of their own: Debian's default cluster is neither wanted nor touched.
    apt install -q -y --no-install-recommends postgresql-common
    if ! grep -q '^ *create_main_cluster' /etc/postgresql-common/createcluster.conf; then
        sed -i '1i create_main_cluster = false' /etc/postgresql-common/createcluster.conf
    fi
    ;;
esac
# shellcheck disable=SC2086 # a list of words
apt install -q -y --no-install-recommends $missing
echo "Installed:$missing" >&2
