#!/usr/bin/env bash
# Runs mail programs that others wrote against a yubin started here, on free
# loopback ports and with a data folder that is thrown away afterwards.
#
#   deploy/interop.sh [NAME ...]     NAME is a script in deploy/interop
#
# The binary is bin/yubin, or $YUBIN. Each case prints "ok NAME" or
# "FAIL NAME"; the last line is "N passed, M failed".
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."

die() { echo "interop: $*" >&2; exit 1; }

export YUBIN=${YUBIN:-$PWD/bin/yubin}
[ -x "$YUBIN" ] || die "$YUBIN is missing; run 'make build'"

for program in mbsync fetchmail mpop curl swaks python3; do
  command -v "$program" >/dev/null || die "$program is missing; install isync fetchmail mpop curl swaks libnet-ssleay-perl python3"
done
for program in opendkim opendkim-testmsg dkimverify; do
  command -v "$program" >/dev/null || die "$program is missing; install opendkim opendkim-tools python3-dkim python3-nacl python3-dnspython python3-authres"
done

WORK=$(mktemp -d)
export WORK
server=
finish() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$WORK"
}
trap finish EXIT
trap 'exit 130' INT TERM

# All ports are taken at the same time, so that they differ.
read -r SMTP SUBMISSION SUBMISSIONS POP3 POP3S IMAP IMAPS ADMIN < <(python3 -c '
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(8)]
print(*(s.getsockname()[1] for s in held))')
export SMTP SUBMISSION SUBMISSIONS POP3 POP3S IMAP IMAPS

# Only what is said here counts, not what the caller's environment holds.
while read -r name; do
  [ "$name" = YUBIN ] || unset "$name"
done < <(compgen -e | grep '^YUBIN' || true)
: >"$WORK/yubin.yaml"
export YUBIN_CONFIG=$WORK/yubin.yaml YUBIN_DATA_DIR=$WORK/data YUBIN_HOSTNAME=localhost YUBIN_DOMAINS=yubin.test \
  YUBIN_SMTP_ADDR=127.0.0.1:$SMTP YUBIN_SUBMISSION_ADDR=127.0.0.1:$SUBMISSION \
  YUBIN_SUBMISSIONS_ADDR=127.0.0.1:$SUBMISSIONS YUBIN_POP3_ADDR=127.0.0.1:$POP3 \
  YUBIN_POP3S_ADDR=127.0.0.1:$POP3S YUBIN_IMAP_ADDR=127.0.0.1:$IMAP \
  YUBIN_IMAPS_ADDR=127.0.0.1:$IMAPS YUBIN_ADMIN_ADDR=127.0.0.1:$ADMIN YUBIN_HTTP_ADDR=

"$YUBIN" serve >"$WORK/server.log" 2>&1 &
server=$!
for try in $(seq 100); do
  "$YUBIN" healthcheck >"$WORK/health.log" 2>&1 && break
  kill -0 "$server" 2>/dev/null || { tail -n 20 "$WORK/server.log" >&2; die "the server stopped"; }
  [ "$try" -lt 100 ] || { tail -n 20 "$WORK/server.log" "$WORK/health.log" >&2; die "the server is not healthy"; }
  sleep 0.1
done

CA=$(find "$WORK/data" -name ca.pem | head -n 1)
[ -n "$CA" ] || die "the server made no ca.pem"
export CA

if [ $# = 0 ]; then
  set -- curl swaks mbsync fetchmail mpop python dkim opendkim
  # Postfix starts as root only.
  [ "$(id -u)" != 0 ] || ! command -v postfix >/dev/null || set -- "$@" postfix
fi
passed=0 failed=0
for name in "$@"; do
  script=$(ls "$here/interop/$name".{sh,py} 2>/dev/null | head -n 1 || true)
  [ -n "$script" ] || die "there is no script for $name"
  case "$script" in *.py) run=python3 ;; *) run=bash ;; esac
  code=0
  timeout 240 "$run" "$script" </dev/null 2>&1 | tee "$WORK/$name.out" || code=$?
  passed=$((passed + $(grep -c '^ok ' "$WORK/$name.out" || true)))
  bad=$(grep -c '^FAIL ' "$WORK/$name.out" || true)
  if [ "$code" != 0 ] && [ "$bad" = 0 ]; then
    echo "FAIL $name ended with code $code"
    bad=1
  fi
  failed=$((failed + bad))
done

if ! kill -0 "$server" 2>/dev/null; then
  echo "FAIL the server did not survive"
  failed=$((failed + 1))
fi
if [ "$failed" != 0 ]; then
  echo "--- the server's last lines"
  tail -n 30 "$WORK/server.log"
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
