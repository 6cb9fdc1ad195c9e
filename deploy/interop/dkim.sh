# dkimpy verifies what we have signed, and signs and seals what we verify.
. "$(dirname "$0")/lib.sh"
. "$here/signing.sh"
# The packages are those of Debian, and so must be the interpreter.
peer() { /usr/bin/python3 "$here/dkimpeer.py" "$@"; }

sign_and_verify() { # subject
  signed_by_us "$1"
  equal 'dkimpy says' "$(peer verify "$box/zone" "$box/got" | tr '\n' ' ')" 'pass pass '
  sed -i 's/last line/lost line/' "$box/got"
  equal 'dkimpy says of a changed mail' "$(peer verify "$box/zone" "$box/got" | tr '\n' ' ')" 'fail fail '
}
check 'dkimpy verifies what we sign, by RSA and Ed25519' sign_and_verify 'hello'
check 'a Japanese subject, signed and verified' sign_and_verify 'お知らせ'

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
