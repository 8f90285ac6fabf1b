#!/usr/bin/env bash
# Make a virtual environment with the first Python >= 3.11 found; on Debian its parts may have to be installed.
#
#   deploy/local/make-venv.sh DIRECTORY      (PYTHON=/path/to/python chooses one)
set -euo pipefail
directory=$1

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local name
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if command -v "$name" >/dev/null && is_new_enough "$name"; then
            command -v "$name"
            return
        fi
    done
    return 1
}

# Debian packages, as root or by sudo without a password.
install_packages() {
    local prefix=()
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || return 1
        prefix=(sudo -n)
    fi
    echo "installing Debian packages: $*" >&2
    "${prefix[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2
    "${prefix[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "$@" >&2
}

if ! python=$(find_python); then
    { install_packages python3 python3-venv && python=$(find_python); } || {
        echo "sameas needs Python 3.11 or later: install it, or name one: make setup PYTHON=/path/to/python" >&2
        exit 1
    }
fi

# Debian keeps `ensurepip`, which gives a new environment its pip, in a package of its own.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    install_packages python3-venv && "$python" -c 'import ensurepip, venv' 2>/dev/null || {
        echo "$python cannot make virtual environments: run \`sudo apt-get install python3-venv\` and try again" >&2
        exit 1
    }
fi

# An environment whose Python is gone or too old is made anew.
if [ -x "$directory/bin/python" ] && is_new_enough "$directory/bin/python" \
    && "$directory/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi
echo "making the virtual environment $directory with $python" >&2
"$python" -m venv --clear "$directory"
