#!/usr/bin/env bash
# Brings docker-compose.yml up as it stands and uses it from the host: sends by
# SMTP, fetches by POP3, watches one mailbox with two IMAP clients, restarts.
# Then takes everything down again, its volume included.
#
# Without a Docker engine it says so and ends well. $COMPOSE chooses the
# command ("docker compose" or "docker-compose"). The last line is
# "N passed, M failed".
set -euo pipefail
cd "$(dirname "$0")/.."

. deploy/compose-lib.sh
free_ports 8025 1025 1587 1465 1110 1995 1143 1993

container() { "${compose[@]}" ps -q mail | head -n 1; }
healthy() {
  local state=
  for _ in $(seq 60); do
    state=$(docker inspect --format '{{.State.Health.Status}}' "$(container)")
    [ "$state" != healthy ] || return 0
    sleep 1
  done
  docker inspect --format '{{json .State.Health}}' "$(container)"
  "${compose[@]}" logs mail | tail -n 20
  return 1
}

up
check 'becomes healthy' healthy

# README shows what to type after "docker compose up".
as_in_readme() {
  local commands command
  mapfile -t commands < <(grep -E '^[^`]*\bcurl .*localhost:1' README.md)
  [ "${#commands[@]}" -gt 0 ] || { echo 'README.md shows no curl command'; return 1; }
  for command in "${commands[@]}"; do
    echo "$command"
    timeout 20 bash -c "$command -sS"
  done
}
check 'the curl commands of README.md' as_in_readme

mail_by_three_protocols() { python3 deploy/compose_check.py first "$work/facts"; }
check 'SMTP in, POP3 and two IMAP clients out' mail_by_three_protocols

confined() {
  local id
  id=$(container)
  equal 'user' "$(docker inspect --format '{{.Config.User}}' "$id")" 65532:65532
  equal 'read-only root' "$(docker inspect --format '{{.HostConfig.ReadonlyRootfs}}' "$id")" true
  equal 'capabilities dropped' "$(docker inspect --format '{{.HostConfig.CapDrop}}' "$id")" '[ALL]'
  docker inspect --format '{{.HostConfig.SecurityOpt}}' "$id" | grep -q no-new-privileges
  # The kernel's own account of the process, not what was asked for.
  local pid
  pid=$(docker inspect --format '{{.State.Pid}}' "$id")
  equal 'uid' "$(awk '/^Uid:/ {print $2, $3}' "/proc/$pid/status")" '65532 65532'
  equal 'capabilities' "$(awk '/^Cap(Eff|Prm|Bnd):/ {print $2}' "/proc/$pid/status" | sort -u)" 0000000000000000
  equal 'no new privileges' "$(awk '/^NoNewPrivs:/ {print $2}' "/proc/$pid/status")" 1
  awk '$5 == "/" {exit !($6 ~ /^ro/)}' "/proc/$pid/mountinfo"
  docker port "$id" | awk '{print $3}' | grep -v '^127\.0\.0\.1:' && return 1
  equal 'ports' "$(docker port "$id" | wc -l)" 8
}
check 'no root, no capabilities, a root that cannot be written, ports on loopback only' confined

cli() {
  docker exec "$(container)" /yubin user list --json | grep -q '"alice@yubin.test"'
  docker exec "$(container)" /yubin config print >/dev/null
}
check 'the command line works inside' cli

restart() {
  timeout 60 "${compose[@]}" restart mail
  healthy
  python3 deploy/compose_check.py again "$work/facts"
}
check 'mail, UIDs and the certificate survive a restart' restart

recreate() {
  timeout 60 "${compose[@]}" down
  timeout 60 "${compose[@]}" up -d
  healthy
  python3 deploy/compose_check.py again "$work/facts"
}
check 'and a new container' recreate

stops() {
  local id started
  id=$(container) started=$SECONDS
  timeout 60 "${compose[@]}" stop
  equal 'exit code' "$(docker inspect --format '{{.State.ExitCode}}' "$id")" 0
  [ $((SECONDS - started)) -lt 14 ] || { echo "took $((SECONDS - started)) s"; return 1; }
}
check 'stops by itself when told' stops

down() {
  timeout 60 "${compose[@]}" down -v
  equal 'volumes left' "$(docker volume ls -q --filter "name=yubin-$name")" ''
}
check 'leaves nothing behind' down

verdict
