#!/usr/bin/env bash
# Runs the README's commands on a bare Debian 12 with Go, gcc and make:
# bare.sh COMMAND…, where a command is
#   demo  make demo, its promises looked at, make demo-clean
#   test  make test
#   ci    .ci/run; alone, on a tree that even lacks make
#
# The Debian is a fresh minimal tree with mount, PID, UTS and IPC namespaces of
# its own, which sees of this machine the network and Go, and of this checkout
# what is committed. Whatever happens, the end of the namespaces ends every
# process and mount, and then the tree is removed; only after SIGKILL are its
# files left, in /var/tmp. Needs root and, in apt's configuration, Debian 12,
# whose mirror it takes.
set -euo pipefail

say() { echo "bare: $(date +%T) $*"; }

fail() {
  echo "bare: $*" >&2
  exit 1
}

# outside COMMAND…: on this machine; makes the namespaces and clears up after them.
outside() {
  local self repository
  self=$(realpath "$0")
  repository=$(realpath "$(dirname "$0")/..")
  [ "$(id -u)" -eq 0 ] || fail "making a Debian tree needs root"
  command -v go >/dev/null || fail "no Go: https://go.dev/doc/install"
  if ! command -v debootstrap >/dev/null; then
    say "installing debootstrap"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
  fi

  tree=$(mktemp -d "${TMPDIR:-/var/tmp}/wsgid-bare.XXXXXX")
  namespaces=""
  trap remove_tree EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  git clone -q --bare --no-hardlinks "$repository" "$tree/source.git"
  # In the background, so that a signal is acted upon at once; there the shell
  # makes children ignore SIGINT, which the tests inside must not inherit. The
  # two death signals end the namespaces with unshare, and that with this shell.
  env --default-signal=INT,QUIT setsid setpriv --pdeathsig KILL \
    unshare --mount --pid --uts --ipc --fork --kill-child --mount-proc \
    bash "$self" --enter "$tree" "$@" </dev/null &
  namespaces=$!
  wait "$namespaces" || { namespaces=""; fail "failed: $*"; }
  namespaces=""
}

remove_tree() {
  if [ -n "$namespaces" ]; then
    kill -KILL "$namespaces" 2>/dev/null || true
    wait "$namespaces" 2>/dev/null || true
  fi
  # Nothing is mounted there outside of the namespaces; --one-file-system all the same.
  rm -rf --one-file-system "$tree"
  say "the tree is removed"
}

# enter TREE COMMAND…: first process of the namespaces; makes TREE a Debian and its root.
enter() {
  local tree=$1 root=$1/root settings sources mirror packages goroot name
  shift
  packages=gcc,libc6-dev,git,ca-certificates
  [ "$*" = ci ] || packages+=,make
  hostname bare

  # shellcheck disable=SC2016 # apt's placeholders
  settings='$(ORIGIN) $(COMPONENT) $(RELEASE) $(REPO_URI)'
  sources=$(apt-get indextargets --format "$settings" 'Created-By: Packages' |
    awk '$1 == "Debian" && $2 == "main" && $3 ~ /^bookworm(-updates|-security)?$/ { print "deb", $4, $3, $2 }')
  mirror=$(awk '$3 == "bookworm" { print $2; exit }' <<<"$sources")
  [ -n "$mirror" ] || fail "apt knows no mirror of Debian 12 (bookworm); is it configured, did apt-get update run?"
  settings=$(apt-config dump | grep -E '^Acquire::(http|https|Check|Retries)' || true)
  eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
  [ -z "${http_proxy:-}" ] || export http_proxy

  say "making a Debian tree"
  debootstrap --variant=minbase --include="$packages" bookworm "$root" "$mirror" >"$tree/debootstrap.log" 2>&1 || {
    tail -20 "$tree/debootstrap.log" >&2
    fail "debootstrap failed"
  }
  echo "$sources" >"$root/etc/apt/sources.list"
  echo "$settings" >"$root/etc/apt/apt.conf.d/90machine"
  printf '127.0.0.1 localhost bare\n::1 localhost\n' >"$root/etc/hosts"
  echo bare >"$root/etc/hostname"

  # What reaches the module proxy: Go's own settings, HTTP proxies, certificates.
  local -a environment=(HOME=/root PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
  for name in GOPROXY GOSUMDB GONOSUMDB GONOPROXY GOPRIVATE GOINSECURE; do
    environment+=("$name=$(go env "$name")")
  done
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [ -z "${!name:-}" ] || environment+=("$name=${!name}")
  done
  if [ -n "${SSL_CERT_FILE:-}" ]; then
    cp -L "$SSL_CERT_FILE" "$root/etc/ssl/machine.crt"
    environment+=(SSL_CERT_FILE=/etc/ssl/machine.crt)
  fi

  mount --bind "$root" "$root"
  mkdir "$root/usr/local/go" "$root/machine"
  goroot=$(go env GOROOT)
  mount --bind "$goroot" "$root/usr/local/go"
  mount -o remount,bind,ro "$root/usr/local/go"
  mv "$tree/source.git" "$root/root/source.git"
  cp "$0" "$root/root/bare.sh"
  mount -t proc proc "$root/proc"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
  devices "$root/dev"
  cd "$root"
  pivot_root . machine
  exec chroot . env -i "${environment[@]}" bash /root/bare.sh --run "$@"
}

# devices DIR: a /dev of its own, with what a container has.
devices() {
  local name
  mount -t tmpfs -o mode=755 tmpfs "$1"
  for name in null zero full random urandom tty; do
    : >"$1/$name"
    mount --bind "/dev/$name" "$1/$name"
  done
  mkdir "$1/pts" "$1/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$1/pts"
  mount -t tmpfs -o mode=1777 tmpfs "$1/shm"
  ln -s pts/ptmx "$1/ptmx"
  ln -s /proc/self/fd "$1/fd"
  for name in stdin:0 stdout:1 stderr:2; do
    ln -s "/proc/self/fd/${name#*:}" "$1/${name%:*}"
  done
}

# run COMMAND…: inside the bare Debian, with nothing else in sight.
run() {
  local command
  umount -l /machine
  rmdir /machine
  cd /root
  git clone -q source.git wsgid
  cd wsgid
  say "Debian $(cat /etc/debian_version), $(dpkg-query -W | wc -l) packages, $(go env GOVERSION); wsgid $(git rev-parse --short HEAD)"
  for command; do
    say "$command"
    "run_$command"
    nothing_runs
    say "$command passed"
  done
}

# The second time nothing is installed or built: it must leave every file as it was.
run_demo() {
  tools/demo-check.sh
  files >/dev/shm/before
  tools/demo-check.sh >/dev/null
  files >/dev/shm/after
  diff /dev/shm/before /dev/shm/after || fail "make demo-clean left files changed"
}

run_test() { make test; }

run_ci() { .ci/run; }

# files: every file but Go's cache, with mode, owner and size.
files() {
  find / /tmp -xdev -path /root/.cache -prune -o -type d -printf '%p %M %u\n' -o -printf '%p %M %u %s\n' | sort
}

# nothing_runs: this shell must be alone. Go may be closing its telemetry: that ends by itself.
nothing_runs() {
  local proc left
  for _ in $(seq 100); do
    left=""
    for proc in /proc/[0-9]*; do
      [ "$proc" = /proc/1 ] || left+=" ${proc#/proc/} ($(tr '\0' ' ' <"$proc/cmdline"))"
    done 2>/dev/null
    [ -n "$left" ] || return 0
    sleep 0.1
  done
  fail "left running:$left"
}

case "${1:-}" in
  --enter) shift && enter "$@" ;;
  --run) shift && run "$@" ;;
  *)
    [ $# -gt 0 ] || set -- help
    for command; do
      case "$command" in demo | test | ci) ;; *) echo "usage: tools/bare.sh demo|test|ci …" >&2; exit 2 ;; esac
    done
    outside "$@"
    ;;
esac
