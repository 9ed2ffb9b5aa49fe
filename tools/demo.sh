#!/usr/bin/env bash
# The demo: three groups of Python processes as three users, a dispatch script,
# behind Apache and behind the built-in HTTP front. demo.sh start | clean.
#
# As root it makes the accounts wsgid-admin, wsgid-api and wsgid-web; as an
# ordinary user everything runs as that user.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin # Debian keeps Apache out of the PATH of ordinary users

accounts="wsgid-admin wsgid-api wsgid-web"
state=.demo # remembers where the demo lives and which accounts it made

# free_port FIRST: the first free TCP port of loopback at or after FIRST.
free_port() {
  local port=$1
  while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
  echo "$port"
}

# wait_for WHAT LOG COMMAND…: until COMMAND succeeds, or a minute is over.
wait_for() {
  local what=$1 log=$2
  shift 2
  for _ in $(seq 300); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.2
  done
  echo "demo: $what did not start; its log ($log):" >&2
  tail -20 "$log" >&2
  exit 1
}

# end_process FILE NAME: ends the process whose pid FILE holds, if it still is NAME.
end_process() {
  local pid
  pid=$(cat "$1" 2>/dev/null || true)
  [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] || return 0
  kill "$pid"
  for _ in $(seq 100); do [ -e "/proc/$pid" ] || return 0; sleep 0.1; done
}

clean() {
  [ -d "$state" ] || { echo "demo: nothing to clean"; return 0; }
  local dir
  dir=$(cat "$state/dir")
  end_process "$dir/httpd.pid" apache2
  end_process "$dir/wsgid.pid" wsgid
  while read -r account; do
    userdel "$account" && echo "demo: removed the account $account"
  done <"$state/accounts"
  rm -rf "$dir" "$state"
  echo "demo: stopped, its files are removed"
}

start() {
  [ ! -d "$state" ] || clean
  mkdir -p "$state"
  : >"$state/accounts"
  local dir http apache admin="" api="" web="" front_group=""
  dir=$(mktemp -d /tmp/wsgid-demo.XXXXXX)
  chmod 755 "$dir"
  echo "$dir" >"$state/dir"

  if [ "$(id -u)" -eq 0 ]; then
    for account in $accounts; do
      if ! id "$account" >/dev/null 2>&1; then
        useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$account"
        echo "$account" >>"$state/accounts"
        echo "demo: made the account $account"
      fi
    done
    admin='user = "wsgid-admin"' api='user = "wsgid-api"' web='user = "wsgid-web"'
    front_group=$'User www-data\nGroup www-data'
  fi

  cp examples/site.wsgi examples/dispatch.py "$dir/"
  http=$(free_port 8000)
  apache=$(free_port 8080)
  [ "$apache" != "$http" ] || apache=$(free_port $((http + 1)))

  cat >"$dir/wsgid.hcl" <<HCL
listen "unix" {
  path = "$dir/wsgid.sock"
}
listen "http" {
  address = "127.0.0.1:$http"
}
control {
  path = "$dir/control.sock"
}
daemon_process "admin" {
  processes = 2
  threads   = 15
  $admin
}
daemon_process "api" {
  processes = 4
  threads   = 15
  $api
}
daemon_process "web" {
  processes = 4
  threads   = 15
  $web
}
dispatch_script "$dir/dispatch.py" {}
script_alias "/" {
  target        = "$dir/site.wsgi"
  process_group = "web"
}
HCL
  cat >"$dir/httpd.conf" <<CONF
ServerRoot /usr/lib/apache2
ServerName 127.0.0.1
Listen 127.0.0.1:$apache
PidFile $dir/httpd.pid
ErrorLog $dir/httpd.log
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule env_module modules/mod_env.so
LoadModule proxy_module modules/mod_proxy.so
LoadModule proxy_fcgi_module modules/mod_proxy_fcgi.so
$front_group
SetEnv ap_trust_cgilike_cl 1
ProxyPass / unix:$dir/wsgid.sock|fcgi://wsgid/ enablereuse=on flushpackets=on
CONF

  bin/wsgid check --config "$dir/wsgid.hcl"
  setsid bin/wsgid run --config "$dir/wsgid.hcl" >"$dir/wsgid.log" 2>&1 </dev/null &
  echo $! >"$dir/wsgid.pid"
  wait_for wsgid "$dir/wsgid.log" answers "$http"
  apache2 -f "$dir/httpd.conf" -k start
  wait_for Apache "$dir/httpd.log" answers "$apache"

  cat <<TEXT

The example is running:
  behind Apache           http://127.0.0.1:$apache/   http://127.0.0.1:$apache/admin/   http://127.0.0.1:$apache/api/
  built-in HTTP front     http://127.0.0.1:$http/   http://127.0.0.1:$http/admin/   http://127.0.0.1:$http/api/

Look at it:  bin/wsgid status --control $dir/control.sock
Its files:   $dir (wsgid.hcl, dispatch.py, site.wsgi, wsgid.log, httpd.conf)
End it:      make demo-clean
TEXT
}

# answers PORT: one GET / that must answer 200.
answers() {
  local line
  exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
  printf 'GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&3
  read -r line <&3
  exec 3>&-
  case "$line" in *" 200 "*) return 0 ;; esac
  return 1
}

case "${1:-}" in
  start) start ;;
  clean) clean ;;
  *) echo "usage: tools/demo.sh start|clean" >&2; exit 2 ;;
esac
