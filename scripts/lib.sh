# Shared by the scripts beside it: `. "$(dirname "$0")/lib.sh"`. Leaves the working directory at the checkout's root.
# shellcheck shell=bash

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
CACHE=$ROOT/.cache
mkdir -p "$CACHE"

# Python's own answer to a missing C.UTF-8; Ansible refuses to start in a locale that isn't UTF-8.
export LC_ALL=C.UTF-8

say() { printf '\n==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
die() {
    printf '\nerror: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '       %s\n' "$line" >&2; done
    exit 1
}

# step "What it does" command...: says it, runs it, and says how long it took.
step() {
    local title=$1 start=$SECONDS
    shift
    say "$title"
    "$@"
    note "($((SECONDS - start)) s)"
}

# quietly command...: keeps the output to itself unless the command fails, and then shows its end.
quietly() {
    local log
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

# make_environment DIRECTORY: .venv, or one of those that want a certain Python.
make_environment() { if [ "$1" = .venv ]; then scripts/setup; else scripts/setup all; fi; }

# core_of DIRECTORY: which ansible-core an environment has, and which Python.
core_of() { "$1/bin/python" -c '
import platform, ansible.release as release
print(f"ansible-core {release.__version__} on Python {platform.python_version()}")'; }

# The scenarios of Molecule that can be asked here, and the hosts of one. `oxmgr` wants a package that is none of ours.
scenarios() {
    local file
    for file in molecule/*/molecule.yml; do
        [ "$file" = molecule/oxmgr/molecule.yml ] && [ -z "${OXMGR:-}" ] || basename "${file%/*}"
    done
}
hosts_of() { sed -n 's/^ *- name: \([a-z0-9-]*\)$/\1/p' "molecule/$1/molecule.yml"; }

# environment_of HOST: the strangers' playbooks meet the oldest ansible-core.
environment_of() { case $1 in consumer* | alone*) echo .venv-2.19 ;; *) echo .venv ;; esac; }

# Whether we may install Debian packages on this machine.
can_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# One at a time: stages that run side by side may each lack something, and apt doesn't wait for another apt.
apt_install() {
    (
        if command -v flock >/dev/null; then
            exec 8>"$CACHE/apt.lock"
            flock 8
        fi
        apt_install_now "$@" 8>&-
    )
}

apt_install_now() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y --no-install-recommends "$@" </dev/null >/dev/null 2>&1 && return
    # A new machine has no package lists yet, or old ones: not worth a word.
    quietly apt-get update </dev/null
    quietly apt-get install -y --no-install-recommends "$@" </dev/null
}

# need_command NAME PACKAGE: installs a program that is missing where we may, else says how.
need_command() {
    command -v "$1" >/dev/null && return
    can_apt || die "The program '$1' is missing." "Install it: sudo apt-get install $2"
    step "Installing $2 (for $1)" apt_install "$2"
}

# The paths of the Python interpreters on this machine that have the given minor version (3.11, 3.12, ...).
# Those of virtual environments don't count: one that we are about to rebuild may be the first on PATH.
pythons() {
    local candidate
    {
        type -ap "python$1" python3 || true
        printf '%s\n' "/usr/bin/python$1" "/usr/local/bin/python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/"python$1"
        if [ -x .venv/bin/uv ]; then .venv/bin/uv python find --no-python-downloads --system "$1" 2>/dev/null || true; fi
    } | while read -r candidate; do
        [ -x "$candidate" ] || continue
        "$candidate" -c "
import sys
ok = '%d.%d' % sys.version_info[:2] == '$1' and sys.prefix == sys.base_prefix
ok and print(sys.executable)" 2>/dev/null || true
    done | awk '!seen[$0]++'
}

# The first interpreter of the given minor versions, in their order; nothing where there is none.
find_python() {
    local minor found
    for minor in "$@"; do
        found=$(pythons "$minor")
        if [ -n "$found" ]; then
            echo "${found%%$'\n'*}"
            return
        fi
    done
}
