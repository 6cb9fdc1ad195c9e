# OpenDKIM verifies what we have signed, and signs what we verify. It is asked
# by the protocol that mail servers ask it by.
. "$(dirname "$0")/lib.sh"
. "$here/signing.sh"

# TestDNSData is what OpenDKIM believes instead of DNS.
/usr/bin/python3 "$here/dkimpeer.py" texts "$box/zone" >"$box/texts"

# opendkim MODE OPTION=VALUE ...: starts it anew, listening to $box/socket.
opendkim_as() {
  stop_opendkim
  {
    printf '%s\n' "Mode $1" 'Syslog no' 'RequireSafeKeys no' 'AlwaysAddARHeader yes' 'AuthservID mx.peer.test' \
      "TestDNSData file:$box/texts" 'On-BadSignature accept' 'On-NoSignature accept' 'MinimumKeyBits 1024'
    shift
    printf '%s\n' "$@"
  } >"$box/opendkim.conf"
  rm -f "$box/socket"
  opendkim -f -x "$box/opendkim.conf" -p "local:$box/socket" >"$box/opendkim.log" 2>&1 &
  echo $! >"$box/milter"
  local try
  for try in $(seq 100); do
    [ ! -S "$box/socket" ] || return 0
    sleep 0.1
  done
  cat "$box/opendkim.log"
  return 1
}
stop_opendkim() { # also after a case that has failed, which leaves only the file
  [ ! -e "$box/milter" ] || kill -KILL "$(cat "$box/milter")" 2>/dev/null || true # asked politely, it lingers
  rm -f "$box/milter"
}
trap 'stop_opendkim; kill $dns' EXIT

they_say() { # result count mail
  python3 "$here/milter.py" "$box/socket" 192.0.2.7 "$3" >"$box/seen"
  sed '/^\r$/q' "$box/seen" >"$box/header"
  grep -a '^Authentication-Results: mx.peer.test' -A 5 "$box/header" || cat "$box/header"
  equal "OpenDKIM says $1" "$(grep -aoE "dkim=$1" <(sed -n '/^Authentication-Results: mx.peer.test/,/^[A-Z]/p' "$box/header") | wc -l)" "$2"
}
verify_ours() { # subject
  signed_by_us "$1"
  opendkim_as v
  they_say pass 2 "$box/got"
  sed 's/last line/lost line/' "$box/got" >"$box/changed"
  they_say fail 2 "$box/changed"
  stop_opendkim
}
check 'OpenDKIM verifies what we sign, by RSA and Ed25519' verify_ours 'hello'
check 'a Japanese subject, signed and verified' verify_ours 'お知らせ'

verify_theirs() { # algorithm key form
  letter "$box/mail" "$1 $3"
  sed -i 's/^From: .*/From: Ada <ada@signed.test>\r/' "$box/mail"
  opendkim_as s 'Domain signed.test' "Selector $(selector "$2")" "KeyFile $2" "SignatureAlgorithm $1" "Canonicalization $3"
  python3 "$here/milter.py" "$box/socket" 127.0.0.1 "$box/mail" >"$box/signed"
  stop_opendkim
  says 'dkim=pass header.d=signed.test' "$box/signed"
  grep -q "header.a=$1" "$box/results"
  sed 's/last line/lost line/' "$box/signed" >"$box/changed"
  says 'dkim=fail' "$box/changed"
}
for form in simple/simple simple/relaxed relaxed/simple relaxed/relaxed; do
  check "we verify OpenDKIM's RSA, $form" verify_theirs rsa-sha256 "$rsa" "$form"
done
check "we verify OpenDKIM's Ed25519" verify_theirs ed25519-sha256 "$ed25519" relaxed/relaxed

exit $failed
