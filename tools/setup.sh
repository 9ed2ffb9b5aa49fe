#!/usr/bin/env bash
# Installs what is missing on Debian 12: setup.sh run | test | full | bench.
# Does nothing, quickly, when everything is there.
set -euo pipefail

run="gcc libc6-dev libpython3.11 python3-minimal apache2-bin"
test="$run apache2-utils libapache2-mod-wsgi-py3 python3 python3-venv python3-django python3-flask nginx-light lighttpd caddy curl openssl libasan8 procps util-linux systemd chromium-headless-shell fonts-dejavu-core"
full="$test python3-keystone radicale graphite-web python3-pyramid python3-bottle python3-numpy python3-psycopg2 python3-lxml"
bench="$run python3 libapache2-mod-wsgi-py3 uwsgi-core uwsgi-plugin-python3 gunicorn"

case "${1:-}" in
  run) wanted=$run ;;
  test) wanted=$test ;;
  full) wanted=$full ;;
  bench) wanted=$bench ;;
  *) echo "usage: tools/setup.sh run|test|full|bench" >&2; exit 2 ;;
esac

command -v go >/dev/null || { echo "setup: Go 1.26 or later is needed: https://go.dev/doc/install" >&2; exit 1; }

missing=""
for package in $wanted; do
  state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "setup: missing packages; as root run: apt-get install -y --no-install-recommends$missing" >&2
    exit 1
  fi
  echo "setup: installing$missing"
  export DEBIAN_FRONTEND=noninteractive
  # Packages of web servers would start a service of their own on port 80.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  apt-get update -qq
  # shellcheck disable=SC2086 # a list of words
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
go mod download
