#!/usr/bin/env bash
# Runs `make demo` and `make demo-clean` and looks whether they keep what the
# README and their own output promise.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "demo-check: $*" >&2
  exit 1
}

# get URL: the body of a 200 answer; fails on any other.
get() {
  local rest port path line
  rest=${1#http://127.0.0.1:}
  port=${rest%%/*} path=/${rest#*/}
  exec 3<>"/dev/tcp/127.0.0.1/$port"
  printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1:%s\r\n\r\n' "$path" "$port" >&3
  read -r line <&3
  case "$line" in *" 200 "*) ;; *) fail "$1 answers: $line" ;; esac
  cat <&3
  exec 3>&-
}

# processes DIR: the pids that run this checkout's wsgid, or anything with a file of DIR.
processes() {
  local proc
  for proc in /proc/[0-9]*; do
    if [ "$(readlink "$proc/exe" || true)" = "$PWD/bin/wsgid" ] ||
      tr '\0' ' ' <"$proc/cmdline" | grep -qF "$1/"; then
      echo "${proc#/proc/}"
    fi
  done 2>/dev/null
}

# accounts: what the machine knows of users and groups.
accounts() { getent passwd && getent group; }

before=$(accounts)
log=$(mktemp)
dir=""
# A demo that does not keep its promises is taken down all the same.
trap 'rm -f "$log"; [ ! -d .demo ] || make --no-print-directory demo-clean' EXIT

make demo 2>&1 | tee "$log"
dir=$(sed -n 's/^Its files: *\([^ ]*\) .*/\1/p' "$log")
[ -d "$dir" ] || fail "make demo does not say where its files are"

urls=$(grep -o 'http://[^ ]*' "$log")
for path in / /admin/ /api/; do
  [ "$(grep -cE "^http://127.0.0.1:[0-9]+$path\$" <<<"$urls")" = 2 ] || fail "not two URLs for $path"
done
for url in $urls; do
  case "$url" in */admin/) group="admin" ;; */api/) group="api" ;; *) group="web" ;; esac
  user=wsgid-$group
  [ "$(id -u)" -eq 0 ] || user=$(id -un)
  answer=$(get "$url")
  for line in "group: $group" "user: $user"; do
    grep -qF "$line" <<<"$answer" || fail "$url does not say '$line':"$'\n'"$answer"
  done
  echo "demo-check: $url answered by group $group as $user"
done

status=$(sed -n 's/^Look at it: *//p' "$log")
shown=$($status)
for group in admin api web; do
  grep -qE "^ *$group " <<<"$shown" || fail "$status does not show the group $group:"$'\n'"$shown"
done
echo "$shown"

running=$(processes "$dir")
[ "$(wc -w <<<"$running")" -ge 13 ] || fail "fewer than 13 processes (supervisor, router, ten workers, Apache): $running"
make demo-clean
[ "$(processes "$dir")" = "" ] || fail "make demo-clean left processes: $(processes "$dir")"
for pid in $running; do
  [ ! -e "/proc/$pid" ] || fail "make demo-clean left process $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline")"
done
for path in "$dir" .demo; do
  [ ! -e "$path" ] || fail "make demo-clean left $path"
done
[ "$(accounts)" = "$before" ] || fail "make demo-clean left an account: $(diff <(echo "$before") <(accounts))"
echo "demo-check: no process, account or file is left"
