# dkimpy verifies what we have signed, and signs and seals what we verify.
. "$(dirname "$0")/lib.sh"
# The packages are those of Debian, and so must be the interpreter.
peer() { /usr/bin/python3 "$here/dkimpeer.py" "$@"; }

"$YUBIN" user add ada@signed.test --password-stdin <<<ada-secret >/dev/null
"$YUBIN" dkim generate signed.test | grep -v '^These' >"$box/zone"
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
sign_and_verify() { # subject
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
  equal 'dkimpy says' "$(peer verify "$box/zone" "$box/got" | tr '\n' ' ')" 'pass pass '
  sed -i 's/last line/lost line/' "$box/got"
  equal 'dkimpy says of a changed mail' "$(peer verify "$box/zone" "$box/got" | tr '\n' ' ')" 'fail fail '
}
check 'dkimpy verifies what we sign, by RSA and Ed25519' sign_and_verify 'hello'
check 'a Japanese subject, signed and verified' sign_and_verify 'お知らせ'

# says METHOD=VALUE MAIL: what we find out about a mail.
says() {
  YUBIN_DNS_RESOLVER=127.0.0.1:$(cat "$box/port") "$YUBIN" dkim check "$2" >"$box/results"
  cat "$box/results"
  grep -q "$1" "$box/results"
}
selector() { basename "$1" .pem; }

verify_theirs() { # algorithm key form
  letter "$box/mail" "$1 $3"
  peer sign signed.test "$(selector "$2")" "$2" "$1" "$3" "$box/mail" >"$box/signed"
  says 'dkim=pass header.d=signed.test' "$box/signed"
  grep -q "header.a=$1" "$box/results"
  sed 's/last line/lost line/' "$box/signed" >"$box/changed"
  says 'dkim=fail' "$box/changed"
}
for form in simple/simple simple/relaxed relaxed/simple relaxed/relaxed; do
  check "we verify dkimpy's RSA, $form" verify_theirs rsa-sha256 "$rsa" "$form"
  check "we verify dkimpy's Ed25519, $form" verify_theirs ed25519-sha256 "$ed25519" "$form"
done

refuse_sha1() {
  letter "$box/mail" 'opendkim'
  opendkim-testmsg -C -d signed.test -s "$(selector "$rsa")" -k "$rsa" <"$box/mail" >"$box/signed"
  says 'dkim=policy reason="SHA-1' "$box/signed"
}
check "SHA-1, which opendkim-testmsg still signs with, proves nothing" refuse_sha1

verify_chain() {
  letter "$box/mail" 'sealed'
  { printf 'Authentication-Results: peer.test; spf=pass smtp.mailfrom=a@b.test\r\n'; cat "$box/mail"; } >"$box/seen"
  peer seal signed.test "$(selector "$rsa")" "$rsa" "$box/seen" >"$box/one"
  says 'arc=pass (i=1)' "$box/one"
  { printf 'Authentication-Results: peer.test; arc=pass\r\n'; cat "$box/one"; } >"$box/seen"
  sed 's/last line/lost line/' "$box/one" >"$box/changed"
  says 'arc=fail' "$box/changed"
}
check "we validate dkimpy's ARC chain" verify_chain

exit $failed
