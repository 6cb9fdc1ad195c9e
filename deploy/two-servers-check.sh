#!/usr/bin/env bash
# Brings deploy/compose.two-servers.yml up and does what docs/operations.md says
# can be tried with it. Then takes everything down again, volumes included.
#
# Without a Docker engine it says so and ends well. $COMPOSE chooses the
# command ("docker compose" or "docker-compose"). The last line is
# "N passed, M failed".
set -euo pipefail
cd "$(dirname "$0")/.."

. deploy/compose-lib.sh
free_ports 2587 2110 2143 3587 3110 3143
# The zone is changed here: a copy of the folder, beside a link to the rest.
mkdir "$work/deploy"
cp -r deploy/two-servers deploy/compose.two-servers.yml "$work/deploy"
sed -i "s|context: \\.\\.|context: $PWD|" "$work/deploy/compose.two-servers.yml"
chmod -R a+rX "$work"
compose+=(-f "$work/deploy/compose.two-servers.yml")

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

up
both() { healthy alpha && healthy beta; }
check 'both become healthy' both

check 'alice writes; bob fetches by POP3, reads by IMAP, and answers' mail answer

bounce() {
  mail send 'To nobody' nobody@beta.test
  mail wait alice 1 'To nobody' | grep 'Status: 5.1.1' >/dev/null
}
check 'a mail to an unknown user comes back' bounce

waiting() { on alpha queue list | grep "$1" >/dev/null; }
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
  refused() { on alpha queue list | grep 'mailbox is full' >/dev/null; }
  until_true refused
  on beta user set bob@beta.test --quota 0
  mail wait bob 1 'No room' >/dev/null
}
check 'a full mailbox defers' full

trusted() {
  mail send 'Verified'
  mail wait bob 1 'Verified' >/dev/null
  timeout 30 "${compose[@]}" logs alpha | grep '"verified":true' >/dev/null
}
check 'alpha has fetched the policy of beta (MTA-STS) and verifies its certificate' trusted

# Beta shows a certificate that nobody knows, and its policy forbids that.
broken_tls() { # subject
  BETA_CERT='' timeout 60 "${compose[@]}" up -d beta
  healthy beta
  mail send "$1"
  refused() { on alpha queue list | grep 'TLS with mail.beta.test failed' >/dev/null; }
  until_true refused
  timeout 60 "${compose[@]}" up -d beta
  healthy beta
  mail wait bob 1 "$1" >/dev/null
}
check 'broken TLS defers; repaired, the mail arrives' broken_tls 'Is it you?'

remembered() {
  sed -i '/^mta-sts.beta.test/d; /^_mta-sts.beta.test/d' "$work/deploy/two-servers/zone"
  timeout 60 "${compose[@]}" restart alpha
  healthy alpha
  broken_tls 'Still you?'
}
check 'so it is after a restart of alpha, when nobody can fetch the policy' remembered

verdict
