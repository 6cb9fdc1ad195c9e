# What the scripts about signatures share: signed.test with its keys ($rsa and
# $ed25519), their records ($box/zone), and a DNS that serves them ($dns).
if "$YUBIN" user add ada@signed.test --password-stdin <<<ada-secret >/dev/null 2>&1; then
  "$YUBIN" dkim generate signed.test >/dev/null
fi
"$YUBIN" dkim show signed.test >"$box/zone"
keys=$(dirname "$(find "$WORK" -path '*dkim/signed.test/r*.pem')")
rsa=$(echo "$keys"/r*.pem) ed25519=$(echo "$keys"/e*.pem)

/usr/bin/python3 "$here/dkimpeer.py" dns "$box/zone" "$box/port" &
dns=$!
disown
trap 'kill $dns' EXIT
for try in $(seq 100); do
  [ ! -e "$box/port" ] || break
  sleep 0.1
done

submit() { # mail
  curl -sS --max-time 20 "smtp://127.0.0.1:$SUBMISSION/client.example.org" --user ada@signed.test:ada-secret \
    --mail-from ada@signed.test --mail-rcpt ada@signed.test --upload-file "$1"
}
# signed_by_us SUBJECT leaves a mail that we have signed in $box/got.
signed_by_us() {
  letter "$box/mail" "$1"
  sed -i 's/^From: .*/From: Ada <ada@signed.test>\r/' "$box/mail"
  submit "$box/mail"
  python3 - "$box/got" <<'PY'
import imaplib, os, sys
c = imaplib.IMAP4("localhost", int(os.environ["IMAP"]), timeout=20)
c.login("ada@signed.test", "ada-secret")
c.select("INBOX")
last = c.search(None, "ALL")[1][0].split()[-1].decode()
open(sys.argv[1], "wb").write(c.fetch(last, "(BODY.PEEK[])")[1][0][1])
c.logout()
PY
  ends_with "$box/got" "$box/mail"
}

# says METHOD=VALUE MAIL: what we find out about a mail.
says() {
  YUBIN_DNS_RESOLVER=127.0.0.1:$(cat "$box/port") "$YUBIN" dkim check "$2" >"$box/results"
  cat "$box/results"
  grep -q "$1" "$box/results"
}
selector() { basename "$1" .pem; }
