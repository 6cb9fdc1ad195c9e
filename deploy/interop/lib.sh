# What the scripts of this folder share; deploy/interop.sh sets the ports, CA
# (the authority that signed the server's certificate), WORK and YUBIN.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=$(basename "$0" .sh)
box=$WORK/$name
mkdir -p "$box"
failed=0

# check TITLE FUNCTION runs the function as a case of its own: it stops at the
# first command that fails.
check() {
  local title=$1 code
  shift
  ( set -e; "$@" ) >"$box/case.log" 2>&1
  code=$?
  if [ "$code" = 0 ]; then
    echo "ok $name: $title"
  else
    echo "FAIL $name: $title"
    tail -n 15 "$box/case.log" | sed 's/^/    /'
    failed=1
  fi
}

equal() { # what got wanted
  [ "$2" = "$3" ] || { echo "$1: got '$2', wanted '$3'"; return 1; }
}

# ends_with FILE ORIGINAL: the server writes trace lines above a mail and
# leaves every byte that follows alone.
ends_with() {
  [ -s "$2" ] && tail -c "$(stat -c %s "$2")" "$1" | cmp - "$2"
}

add_user() { # name
  printf '%s' "$1-secret" | "$YUBIN" user add "$1@yubin.test" --password-stdin >/dev/null
}

# letter FILE SUBJECT writes a mail with CRLF, dots that must be stuffed,
# 8-bit text and a line of the greatest length.
letter() {
  {
    printf 'From: Hanako <hanako@example.org>\n'
    printf 'To: someone@yubin.test\n'
    printf 'Subject: %s\n' "$2"
    printf 'Date: Mon, 02 Nov 2026 09:00:00 +0900\n'
    printf 'Message-ID: <%s@example.org>\n' "$(printf '%s' "$2" | sha256sum | cut -c1-24)"
    printf 'MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n'
    printf '%s: 会議のお知らせです。\n.\n..two dots\n.hidden\n\n' "$2"
    printf '%0998d\n\nlast line\n' 7
  } | sed 's/$/\r/' >"$1"
}

deliver() { # user file
  curl -sS --max-time 20 "smtp://127.0.0.1:$SMTP/client.example.org" \
    --mail-from hanako@example.org --mail-rcpt "$1@yubin.test" --upload-file "$2"
}

# ask asks the server by IMAP, with a client that none of the cases is about.
ask() { python3 "$here/ask.py" "$@"; }
