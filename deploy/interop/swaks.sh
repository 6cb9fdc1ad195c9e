# swaks logs in with every mechanism, and tries what must be refused.
. "$(dirname "$0")/lib.sh"
add_user swaks
add_user neighbour

talk() {
  swaks --timeout 20 --hide-all --helo client.example.org --from swaks@yubin.test --to neighbour@yubin.test \
    --header "Subject: $name" "$@"
}
login=(--auth-user swaks@yubin.test --auth-password swaks-secret)
verify=(--tls-verify --tls-ca-path "$CA")

arrives() { # wanted count, swaks arguments
  local wanted=$1
  shift
  talk "$@"
  equal 'mails at the neighbour' "$(ask count neighbour INBOX ALL)" "$wanted"
}
check 'STARTTLS and AUTH PLAIN' arrives 1 --server localhost --port "$SUBMISSION" --tls "${verify[@]}" --auth PLAIN "${login[@]}"
check 'STARTTLS and AUTH LOGIN' arrives 2 --server localhost --port "$SUBMISSION" --tls "${verify[@]}" --auth LOGIN "${login[@]}"
check 'TLS from the start and AUTH PLAIN' arrives 3 --server localhost --port "$SUBMISSIONS" --tls-on-connect "${verify[@]}" --auth PLAIN "${login[@]}"
check 'AUTH LOGIN in clear on loopback' arrives 4 --server 127.0.0.1 --port "$SUBMISSION" --auth LOGIN "${login[@]}"
check 'a server sends to us after STARTTLS' arrives 5 --server localhost --port "$SMTP" --tls "${verify[@]}" --from hanako@example.org
check 'pipelining' arrives 6 --server 127.0.0.1 --port "$SMTP" --pipeline --from hanako@example.org

attachment() {
  head -c 3000000 /dev/urandom >"$box/data.bin"
  talk --server 127.0.0.1 --port "$SMTP" --from hanako@example.org --attach "@$box/data.bin"
  ask body neighbour INBOX 7 >"$box/got.eml"
  python3 - "$box/got.eml" >"$box/got.bin" <<'PY'
import email, sys
mail = email.message_from_binary_file(open(sys.argv[1], "rb"))
sys.stdout.buffer.write(mail.get_payload()[-1].get_payload(decode=True))
PY
  cmp "$box/got.bin" "$box/data.bin"
}
check 'an attachment of 3 MB arrives whole' attachment

# refused EXIT ARGUMENTS: swaks ends with 23 when MAIL, with 24 when RCPT and
# with 28 when AUTH was refused.
refused() {
  local wanted=$1 code=0
  shift
  talk "$@" || code=$?
  equal 'exit code' "$code" "$wanted"
  equal 'mails at the neighbour' "$(ask count neighbour INBOX ALL)" 7
}
check 'a wrong password is refused' refused 28 --server 127.0.0.1 --port "$SUBMISSION" --auth PLAIN --auth-user swaks@yubin.test --auth-password wrong
check 'submission asks for a login' refused 23 --server 127.0.0.1 --port "$SUBMISSION"
check 'no relay for strangers' refused 24 --server 127.0.0.1 --port "$SMTP" --from hanako@example.org --to taro@example.net
check 'an unknown user is refused at RCPT' refused 24 --server 127.0.0.1 --port "$SMTP" --from hanako@example.org --to nobody@yubin.test
check 'nobody sends as somebody else' refused 23 --server 127.0.0.1 --port "$SUBMISSION" --auth PLAIN "${login[@]}" --from neighbour@yubin.test

exit $failed
