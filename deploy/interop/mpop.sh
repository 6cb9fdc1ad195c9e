# mpop drains a large maildrop with pipelined commands, and keeps by UIDL.
. "$(dirname "$0")/lib.sh"
for u in empties holds; do add_user "$u"; done

rc() { # user, then lines
  local user=$1
  shift
  mkdir -p "$box/$user"/{cur,new,tmp}
  {
    printf 'account default\nhost localhost\nuser %s@yubin.test\npassword %s-secret\n' "$user" "$user"
    printf 'delivery maildir %s\nuidls_file %s\nreceived_header off\ntimeout 20\n' "$box/$user" "$box/$user.uidls"
    printf '%s\n' "$@"
  } >"$box/rc"
  chmod 600 "$box/rc"
}
fetched() { find "$box/$1/new" -type f | wc -l; }

drain() {
  letter "$box/letter.eml" 'one of many'
  for _ in $(seq 120); do
    deliver empties "$box/letter.eml"
  done
  rc empties "port $POP3" 'auth user' 'tls off' 'pipelining on' 'keep off'
  mpop -C "$box/rc" -Q
  equal 'fetched' "$(fetched empties)" 120
  find "$box/empties/new" -type f | while read -r f; do
    sed 's/$/\r/' "$f" >"$box/got.eml"
    ends_with "$box/got.eml" "$box/letter.eml"
  done
  equal 'left on the server' "$(ask count empties INBOX ALL)" 0
}
check 'drains 120 mails with pipelining' drain

keep() {
  for i in 1 2 3; do
    letter "$box/$i.eml" "letter $i"
    deliver holds "$box/$i.eml"
  done
  rc holds "port $POP3S" 'auth plain' 'tls on' 'tls_starttls off' "tls_trust_file $CA" 'keep on'
  mpop -C "$box/rc" -Q
  equal 'fetched' "$(fetched holds)" 3
  mpop -C "$box/rc" -Q
  equal 'fetched after nothing new' "$(fetched holds)" 3
  equal 'left on the server' "$(ask count holds INBOX ALL)" 3
}
check 'keeps over TLS, and by UIDL fetches each mail once' keep

one_deleted() {
  ask expunge holds INBOX 2
  deliver holds "$box/1.eml"
  mpop -C "$box/rc" -Q
  equal 'fetched' "$(fetched holds)" 4
  equal 'left on the server' "$(ask count holds INBOX ALL)" 3
}
check 'goes by UIDL after IMAP deleted one in the middle' one_deleted

scram() {
  rc holds "port $POP3" 'auth scram-sha-256' 'tls on' 'tls_starttls on' "tls_trust_file $CA" 'keep on'
  deliver holds "$box/2.eml"
  mpop -C "$box/rc" -Q
  equal 'fetched' "$(fetched holds)" 5
}
check 'SCRAM-SHA-256 after STLS' scram

exit $failed
