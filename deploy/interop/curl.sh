# curl sends and reads by all three protocols, in clear, after STARTTLS and
# over TLS, and checks the certificate.
. "$(dirname "$0")/lib.sh"
add_user curl

letter "$box/letter.eml" 'from curl'
who=(-sS --max-time 20 -u curl@yubin.test:curl-secret)
tls=(--cacert "$CA")

smtp_to_pop3() {
  deliver curl "$box/letter.eml"
  curl "${who[@]}" "pop3://127.0.0.1:$POP3/1" -o "$box/pop3.eml"
  ends_with "$box/pop3.eml" "$box/letter.eml"
}
check 'a mail sent by SMTP is read by POP3, byte for byte' smtp_to_pop3

same_by_imap() {
  curl "${who[@]}" "imap://127.0.0.1:$IMAP/INBOX;MAILINDEX=1" -o "$box/imap.eml"
  cmp "$box/imap.eml" "$box/pop3.eml"
}
check 'IMAP shows the same bytes as POP3' same_by_imap

encrypted() {
  curl "${who[@]}" "${tls[@]}" "pop3s://localhost:$POP3S/1" -o "$box/pop3s.eml"
  curl "${who[@]}" "${tls[@]}" --ssl-reqd "pop3://localhost:$POP3/1" -o "$box/stls.eml"
  curl "${who[@]}" "${tls[@]}" "imaps://localhost:$IMAPS/INBOX;MAILINDEX=1" -o "$box/imaps.eml"
  curl "${who[@]}" "${tls[@]}" --ssl-reqd "imap://localhost:$IMAP/INBOX;MAILINDEX=1" -o "$box/starttls.eml"
  for f in pop3s stls imaps starttls; do
    cmp "$box/$f.eml" "$box/pop3.eml"
  done
}
check 'so do POP3 and IMAP over TLS and after STLS and STARTTLS' encrypted

submission() {
  sed 's/^From: .*/From: curl@yubin.test\r/' "$box/letter.eml" >"$box/own.eml"
  local send=(--mail-from curl@yubin.test --mail-rcpt curl@yubin.test --upload-file "$box/own.eml")
  curl "${who[@]}" "${tls[@]}" "smtps://localhost:$SUBMISSIONS" "${send[@]}"
  curl "${who[@]}" "${tls[@]}" --ssl-reqd "smtp://localhost:$SUBMISSION" "${send[@]}"
  curl "${who[@]}" "smtp://127.0.0.1:$SUBMISSION" "${send[@]}"
  for i in 2 3 4; do
    curl "${who[@]}" "pop3://127.0.0.1:$POP3/$i" -o "$box/got.eml"
    ends_with "$box/got.eml" "$box/own.eml"
  done
}
check 'submission over TLS, after STARTTLS and in clear on loopback' submission

mechanisms() {
  for m in PLAIN LOGIN; do
    curl "${who[@]}" --login-options "AUTH=$m" "pop3://127.0.0.1:$POP3/" -o "$box/list"
    equal "POP3 $m" "$(wc -l <"$box/list")" 4
    curl "${who[@]}" --login-options "AUTH=$m" "imap://127.0.0.1:$IMAP/INBOX" -X 'SEARCH ALL' -o "$box/search"
    equal "IMAP $m" "$(tr -d '\r' <"$box/search")" '* SEARCH 1 2 3 4'
  done
}
check 'AUTH PLAIN and LOGIN by POP3 and IMAP' mechanisms

append() {
  curl "${who[@]}" "imap://127.0.0.1:$IMAP/Drafts" -T "$box/letter.eml"
  curl "${who[@]}" "imap://127.0.0.1:$IMAP/Drafts;MAILINDEX=1" -o "$box/draft.eml"
  cmp "$box/draft.eml" "$box/letter.eml"
}
check 'APPEND keeps every byte' append

bare_lf() {
  # Without the lines that start with dots, which curl does not stuff after a
  # bare LF, and without the last line end, which curl adds.
  grep -v '^\.' "$box/letter.eml" >"$box/dotless.eml"
  printf %s "$(tr -d '\r' <"$box/dotless.eml")" >"$box/unix.eml"
  deliver curl "$box/unix.eml"
  curl "${who[@]}" "pop3://127.0.0.1:$POP3/5" -o "$box/got.eml"
  ends_with "$box/got.eml" "$box/dotless.eml"
}
check 'a file with Unix line ends arrives with CRLF' bare_lf

uidl_and_dele() {
  curl "${who[@]}" "pop3://127.0.0.1:$POP3/" -X UIDL -o "$box/before"
  equal 'UIDL' "$(sort -u -k2 "$box/before" | wc -l)" 5
  curl "${who[@]}" "pop3://127.0.0.1:$POP3/1" -X DELE -I >/dev/null
  curl "${who[@]}" "pop3://127.0.0.1:$POP3/" -X UIDL -o "$box/after"
  diff <(tail -n +2 "$box/before" | cut -d' ' -f2) <(cut -d' ' -f2 "$box/after")
  equal 'IMAP afterwards' "$(ask count curl INBOX ALL)" 4
}
check 'DELE removes one mail and leaves the UIDLs of the others' uidl_and_dele

refused() {
  local code=0
  curl -sS --max-time 20 -u curl@yubin.test:wrong "imap://127.0.0.1:$IMAP/INBOX" || code=$?
  equal 'wrong password' "$code" 67
  code=0
  curl "${who[@]}" "imaps://localhost:$IMAPS/INBOX" || code=$?
  equal 'unknown authority' "$code" 60
}
check 'a wrong password and an unknown authority are refused' refused

exit $failed
