# What the checks with docker compose share; to be sourced. It ends the check
# well, and says so, where there is no engine.
#
#   check TITLE COMMAND ...   a case of its own, which stops at its first failure
#   verdict                   "N passed, M failed"
#
# sets work, a folder that goes with the check, and compose, the command.
# $COMPOSE chooses that ("docker compose" or "docker-compose").
name=$(basename "$0" .sh)
die() { echo "$name: $*" >&2; exit 1; }

if ! command -v docker >/dev/null || ! timeout 20 docker info >/dev/null 2>&1; then
  echo "$name: skipped, there is no Docker engine here"
  exit 0
fi
if [ -n "${COMPOSE-}" ]; then
  read -ra compose <<<"$COMPOSE"
elif docker compose version >/dev/null 2>&1; then
  compose=(docker compose)
elif command -v docker-compose >/dev/null; then
  compose=(docker-compose)
else
  echo "$name: skipped, neither 'docker compose' nor 'docker-compose' is installed"
  exit 0
fi
# A project of its own keeps the volumes of a compose in daily use out of this.
compose+=(-p "yubin-$name")

# free_ports PORT ...: none of them is taken on loopback.
free_ports() {
  python3 - "$@" <<'PY' || die "a port is taken (see above); is yubin already running?"
import socket, sys
for port in map(int, sys.argv[1:]):
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as e:
        raise SystemExit(f"127.0.0.1:{port}: {e.strerror}")
PY
}

work=$(mktemp -d)
finish() {
  timeout 120 "${compose[@]}" down -v >"$work/down.log" 2>&1 || cat "$work/down.log"
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

up() {
  echo "$name: ${compose[*]} up"
  timeout 600 "${compose[@]}" up -d --build >"$work/up.log" 2>&1 || { tail -n 30 "$work/up.log" >&2; die "up failed"; }
}

passed=0 failed=0
check() { # title command...
  local title=$1 code
  shift
  set +e
  (set -e; "$@") >"$work/case.log" 2>&1
  code=$?
  set -e
  if [ "$code" = 0 ]; then
    echo "ok $name: $title"
    passed=$((passed + 1))
  else
    echo "FAIL $name: $title"
    tail -n 25 "$work/case.log" | sed 's/^/    /'
    failed=$((failed + 1))
  fi
}
equal() { # what got wanted
  [ "$2" = "$3" ] || { echo "$1: got '$2', wanted '$3'"; return 1; }
}
verdict() {
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}
