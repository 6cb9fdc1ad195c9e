#!/usr/bin/env bash
# Builds a stand-in for the image that deploy/Dockerfile starts from, under the
# same name, on a Debian host that can pull no image. It is made of a minimal
# Debian (debootstrap), gcc, the host's Go, the certificate authorities that
# the host trusts, and the modules that go.mod names, so that the build inside
# needs no network either.
#
#   sudo deploy/base-image.sh [--force]
#
# Does nothing where the image is already there: a real one is never replaced,
# a stand-in only when Go or the modules have changed. --force replaces both.
set -euo pipefail
cd "$(dirname "$0")/.."

die() { echo "base-image: $*" >&2; exit 1; }

force=
case "${1-}" in
  '') ;;
  --force) force=1 ;;
  *) die "usage: deploy/base-image.sh [--force]" ;;
esac

image=$(sed -n 's/^FROM \(golang:[^ ]*\).*/\1/p' deploy/Dockerfile | head -n 1)
suite=${image##*-}
[ -n "$image" ] || die "deploy/Dockerfile names no golang image"

command -v docker >/dev/null || die "docker is not installed"
docker info >/dev/null 2>&1 || die "the Docker engine does not answer (is it running, and may you use it?)"
command -v go >/dev/null || die "go is not in PATH; the stand-in is made from the host's Go"

version=$(go env GOVERSION)
wanted=${image#golang:} wanted=go${wanted%%-*}
[[ "$version" == "$wanted" || "$version" == "$wanted".* ]] ||
  echo "base-image: note: the host has $version, the real $image has $wanted" >&2
stamp=$version-$(cat go.mod go.sum deploy/base-image.sh | sha256sum | cut -c1-16)

if [ -z "$force" ] && docker image inspect "$image" >/dev/null 2>&1; then
  label=$(docker image inspect --format '{{index .Config.Labels "yubin.stand-in"}}' "$image")
  case "$label" in
    "$stamp") echo "base-image: the stand-in for $image is up to date"; exit 0 ;;
    '') echo "base-image: $image is the real one, nothing to do"; exit 0 ;;
    *) echo "base-image: the stand-in for $image is out of date" ;;
  esac
fi

[ "$(id -u)" = 0 ] || die "debootstrap needs root: run it with sudo"
command -v debootstrap >/dev/null || die "debootstrap is not installed (apt-get install debootstrap)"

root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT

echo "base-image: installing Debian $suite with gcc"
debootstrap --variant=minbase --include=ca-certificates,gcc,libc6-dev "$suite" "$root" >"$root.log" 2>&1 ||
  { tail -n 20 "$root.log" >&2; rm -f "$root.log"; die "debootstrap failed"; }
rm -rf "$root.log" "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*

echo "base-image: adding $version and the modules of go.mod"
cp -RL "$(go env GOROOT)" "$root/usr/local/go"
mkdir -p "$root/go"
if [ -r /etc/ssl/certs/ca-certificates.crt ]; then
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
fi
# The host's own module cache is asked first: it may be all there is.
GOPROXY="file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" \
  GOMODCACHE="$root/go/pkg/mod" GOFLAGS=-modcacherw go mod download ||
  die "the modules could not be downloaded"

echo "base-image: importing $image"
tar -C "$root" --numeric-owner -c . | docker import \
  --change 'ENV PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  --change 'ENV GOPATH=/go' --change 'ENV GOTOOLCHAIN=local' \
  --change 'WORKDIR /go' --change "LABEL yubin.stand-in=$stamp" \
  --message 'local stand-in' - "$image" >/dev/null
echo "base-image: $image is ready"
