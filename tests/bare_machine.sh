#!/usr/bin/env bash
# On a bare Debian 12 with nothing but git and make, a clone's `make bench` and `make test` do everything themselves.
# SPDX-License-Identifier: MIT
#
# Usage: tests/bare_machine.sh [STEP...]     steps, in the order given; without any: refuse bench test
#   refuse  an ordinary user without a terminal gets exit 3 and the command, and nothing is installed
#   build   dependencies, configure, build
#   bench   `make bench`: its last line is the report of a run with observations and figures
#   test    `make test`, in a checkout that belongs to somebody else
#   ci      `.ci/run`
#   package the Debian package, made on this machine: installs with what it declares, and runs for an ordinary user
# Tests the last commit, not the working tree. Needs root, debootstrap and a Debian mirror (MIRROR); exit 77 without.
# The base system and downloaded packages are kept in $BARE_CACHE, /var/cache/noisefloor-bare if unset. Everything is
# mounted in a mount namespace of its own, which ends with the test however it ends.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
cache=${BARE_CACHE:-/var/cache/noisefloor-bare}
mirror=${MIRROR:-http://deb.debian.org/debian}
[ "$#" -gt 0 ] || set -- refuse bench test

for step in "$@"; do
  case $step in
    refuse | build | bench | test | ci | package) ;;
    *) echo "bare_machine: no step is called $step; there are: refuse build bench test ci package" >&2; exit 2 ;;
  esac
done
skip() { echo "bare_machine: skipped: $1"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root, for chroot"
for tool in debootstrap unshare chroot git tar; do
  command -v "$tool" >/dev/null || skip "needs $tool"
done
unshare --mount true 2>/dev/null || skip "may not make a mount namespace here"

mkdir -p "$cache/archives/partial"
root=$(mktemp -d "${TMPDIR:-/tmp}/noisefloor-bare.XXXXXX")
inside=
# shellcheck disable=SC2317  # called by the trap
clean() {
  # unshare itself ignores polite signals; its --kill-child takes everything inside along.
  [ -z "$inside" ] || { kill -KILL "$inside" && wait "$inside"; } 2>/dev/null || true
  rm -rf --one-file-system "$root" "$cache"/base.tar.$$ 2>/dev/null || { sleep 1; rm -rf --one-file-system "$root"; }
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

base=$cache/bookworm-$(dpkg --print-architecture).tar
if [ ! -f "$base" ]; then
  echo "== the base system, once, into $base"
  debootstrap --variant=minbase bookworm "$root/base" "$mirror" >"$cache/debootstrap.log" 2>&1 ||
    { tail -n 5 "$cache/debootstrap.log"; echo "bare_machine: debootstrap failed: $cache/debootstrap.log"; exit 1; }
  rm -rf "$root"/base/var/lib/apt/lists/*
  tar -C "$root/base" -cf "$cache/base.tar.$$" .
  mv "$cache/base.tar.$$" "$base"
  rm -rf --one-file-system "$root/base"
fi
tar -C "$root" -xf "$base"

# The host's way to the network: name server, apt's proxies and settings of its Acquire group.
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
apt-config dump | grep '^Acquire::' | grep -v '^[^"]* "";$' >"$root/etc/apt/apt.conf.d/50host" || true
{
  echo "deb $mirror bookworm main"
  echo "deb $mirror bookworm-updates main"
  echo "deb ${SECURITY_MIRROR:-http://deb.debian.org/debian-security} bookworm-security main"
} >"$root/etc/apt/sources.list"

# The checkout may belong to somebody else; clone's helper process reads only a configuration file.
printf '[safe]\n\tdirectory = *\n' >"$root/tmp/gitconfig"
mkdir "$root/home/user"
GIT_CONFIG_GLOBAL=$root/tmp/gitconfig git clone --quiet --no-hardlinks "$top" "$root/home/user/noisefloor"
rm "$root/tmp/gitconfig"

if [[ " $* " = *" package "* ]]; then
  make --no-print-directory -C "$top" package >"$cache/package.log" 2>&1 || { tail -n 5 "$cache/package.log"; exit 1; }
  cp "$(tail -n 1 "$cache/package.log")" "$root/tmp/noisefloor.deb"
fi

cat >"$root/tmp/steps" <<'INSIDE'
set -euo pipefail
clone=/home/user/noisefloor
cd "$clone"

say() { printf '== %s (%s s)\n' "$*" "$SECONDS"; }
fail() { echo "bare_machine: FAILED: $*" >&2; exit 1; }
installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }

refuse() {
  local status=0
  setpriv --reuid=65534 --regid=65534 --clear-groups scripts/bootstrap bench </dev/null 2>/tmp/said || status=$?
  [ "$status" = 3 ] || fail "scripts/bootstrap as an ordinary user: exit $status instead of 3"
  grep -q 'apt-get install .* cmake' /tmp/said || fail "the command is not shown: $(cat /tmp/said)"
  ! installed cmake || fail "cmake was installed"
}

build() {
  scripts/bootstrap bench </dev/null
  make build
  ! installed libgtest-dev || fail "the tests' packages were installed for a build without tests"
}

bench() {
  local report folder picture
  make bench </dev/null | tee /tmp/bench.out
  report=$(tail -n 1 /tmp/bench.out)
  grep -q '</html>' "$report" || fail "the last line is no report: $report"
  folder=$(dirname "$report")
  [ "$(wc -l <"$folder/observations.csv")" -gt 100 ] || fail "too few observations"
  [ -s "$folder/machine.json" ] || fail "no machine.json"
  for picture in strategies granularity chunk; do
    [ -s "$folder/plots/$picture.svg" ] && [ -s "$folder/plots/$picture.png" ] || fail "no figure $picture"
  done
  ! installed clang-format || fail "the contributors' packages were installed for make bench"
}

test() {
  chown -R 65534:65534 "$clone"
  make test </dev/null
}

ci() {
  .ci/run | tee /tmp/ci.out
  tail -n 8 /tmp/ci.out | grep -q 'tests passed, 0 tests failed' || fail "the output does not end with ctest's summary"
}

package() {
  apt-get -q update >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get -q install --yes /tmp/noisefloor.deb >/tmp/install.out 2>&1 ||
    { tail -n 5 /tmp/install.out; fail "the package does not install"; }
  cd /
  mkdir -m 777 /tmp/user
  cat >/tmp/user/steps <<'USER'
set -euo pipefail
trap 'echo "line $LINENO: $BASH_COMMAND"' ERR
export HOME=/tmp/user
cd
noisefloor --version
noisefloor list strategies >strategies
grep -q '^  fork_pool ' strategies
python3 -c 'import wave; w = wave.open("in.wav", "wb"); w.setparams((1, 2, 8000, 0, "NONE", "")); w.writeframes(bytes(16000))'
noisefloor process in.wav out.wav
[ "$(stat -c %s in.wav)" = "$(stat -c %s out.wav)" ] && ! cmp -s in.wav out.wav
run=$(noisefloor run quick --rounds 1 --filter 'workload=spin.*strategy=(sequential|openmp),')
/usr/share/noisefloor/scripts/report "$run" >/dev/null
grep -q '</html>' "$run/report.html"
zcat -f /usr/share/man/man1/noisefloor-process.1* >page
grep -q 'snr.*-db' page
bash -c 'source /usr/share/bash-completion/completions/noisefloor && complete -p noisefloor' >/dev/null
USER
  setpriv --reuid=65534 --regid=65534 --clear-groups bash /tmp/user/steps </dev/null ||
    fail "the installed program does not run"
}

say "git and make, as after a git clone"
apt-get -q update >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends git make >/dev/null 2>&1
find /var/lib/apt/lists -type f -delete
for step in "$@"; do
  say "$step"
  "$step"
done
say "done: $*"
INSIDE

# shellcheck disable=SC2016  # $1 is the inner shell's
unshare --mount --pid --fork --kill-child bash -euc '
  root=$1 archives=$2
  shift 2
  mount --bind "$archives" "$root/var/cache/apt/archives"
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mkdir -p "$root/dev/shm"
  mount -t tmpfs tmpfs "$root/dev/shm"
  proxies=()
  for name in http_proxy https_proxy no_proxy; do
    [ -z "${!name:-}" ] || proxies+=("$name=${!name}")
  done
  exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "${proxies[@]}" \
    bash /tmp/steps "$@"
' bare_machine "$root" "$cache/archives" "$@" </dev/null &
inside=$!
status=0
wait "$inside" || status=$?
inside=
exit "$status"
