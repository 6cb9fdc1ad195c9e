#!/usr/bin/env bash
# Brings deploy/compose.two-servers.yml up and does what docs/operations.md says
# can be tried with it. Then takes everything down again, volumes included.
#
# Without a Docker engine it says so and ends well. $COMPOSE chooses the
# command ("docker compose" or "docker-compose"). The last line is
# "N passed, M failed".
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v docker >/dev/null || ! timeout 20 docker info >/dev/null 2>&1; then
  echo "two-servers-check: skipped, there is no Docker engine here"
  exit 0
fi
if [ -n "${COMPOSE-}" ]; then
  read -ra compose <<<"$COMPOSE"
elif docker compose version >/dev/null 2>&1; then
  compose=(docker compose)
elif command -v docker-compose >/dev/null; then
  compose=(docker-compose)
else
  echo "two-servers-check: skipped, neither 'docker compose' nor 'docker-compose' is installed"
  exit 0
fi

work=$(mktemp -d)
# The zone is changed here: a copy of the folder, beside a link to the rest.
mkdir "$work/deploy"
cp -r deploy/two-servers deploy/compose.two-servers.yml "$work/deploy"
sed -i "s|context: \\.\\.|context: $PWD|" "$work/deploy/compose.two-servers.yml"
chmod -R a+rX "$work"
compose+=(-p yubin-two-check -f "$work/deploy/compose.two-servers.yml")
finish() {
  timeout 120 "${compose[@]}" down -v >"$work/down.log" 2>&1 || cat "$work/down.log"
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

passed=0 failed=0
check() { # title command...
  local title=$1 code
  shift
  set +e
  (set -e; "$@") >"$work/case.log" 2>&1
  code=$?
  set -e
  if [ "$code" = 0 ]; then
    echo "ok two-servers: $title"
    passed=$((passed + 1))
  else
    echo "FAIL two-servers: $title"
    tail -n 25 "$work/case.log" | sed 's/^/    /'
    failed=$((failed + 1))
  fi
}
mail() { python3 deploy/two_servers_check.py "$@"; }
on() { # server command...
  local server=$1
  shift
  timeout 30 "${compose[@]}" exec -T "$server" /yubin "$@"
}
until_true() { # command...
  for _ in $(seq 60); do
    "$@" && return 0
    sleep 0.5
  done
  return 1
}
healthy() { until_true on "$1" healthcheck; }

timeout 600 "${compose[@]}" up -d --build >"$work/up.log" 2>&1 || { tail -n 30 "$work/up.log" >&2; exit 1; }
both() { healthy alpha && healthy beta; }
check 'both become healthy' both

check 'alice writes; bob fetches by POP3, reads by IMAP, and answers' mail answer

bounce() {
  mail send 'To nobody' nobody@beta.test
  mail wait alice 1 'To nobody' | grep -q 'Status: 5.1.1'
}
check 'a mail to an unknown user comes back' bounce

waiting() { on alpha queue list | grep -q "$1"; }
down_and_up() {
  timeout 60 "${compose[@]}" stop beta
  mail send 'While you were away'
  until_true waiting bob@beta.test
  timeout 60 "${compose[@]}" start beta
  healthy beta
  mail wait bob 1 'While you were away' >/dev/null
}
check 'beta is down, the mail waits; beta is up, it arrives once' down_and_up

broken_spf() {
  sed -i '/^alpha.test.*spf1/s/"v=spf1 .*"/"v=spf1 -all"/' "$work/deploy/two-servers/zone"
  sleep 2
  mail send 'SPF broken'
  mail wait bob 1 'SPF broken' >"$work/mail"
  grep -q 'spf=fail' "$work/mail" && grep -q 'dmarc=pass' "$work/mail"
}
check 'broken SPF is seen, DKIM still vouches' broken_spf

rotated() {
  on alpha dkim rotate alpha.test
  sleep 2 # until the new records are in DNS
  on alpha dkim rotate alpha.test
  mail send 'New keys'
  mail wait bob 1 'New keys' >"$work/mail"
  grep -q 'dkim=pass' "$work/mail"
  grep -q ' s=r[0-9]*-2;' "$work/mail"
}
check 'keys are rotated' rotated

full() {
  on beta user set bob@beta.test --quota 1B
  mail send 'No room'
  refused() { on alpha queue list | grep -q 'mailbox is full'; }
  until_true refused
  on beta user set bob@beta.test --quota 0
  mail wait bob 1 'No room' >/dev/null
}
check 'a full mailbox defers' full

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
