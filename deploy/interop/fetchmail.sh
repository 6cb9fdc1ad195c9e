# fetchmail drains the maildrop, or leaves a copy and fetches each mail once.
. "$(dirname "$0")/lib.sh"
for u in drains keeps reads; do add_user "$u"; done

export FETCHMAILHOME=$box/home
mkdir -p "$FETCHMAILHOME"
chmod 700 "$FETCHMAILHOME"

# rc USER 'server options' 'user options' sets up a run whose mails end up in
# a folder of the user's.
rc() {
  mkdir -p "$box/$1"
  cat >"$box/$1.mda" <<MDA
#!/bin/sh
exec cat >"\$(mktemp "$box/$1/mail.XXXXXX")"
MDA
  cat >"$box/$1.rc" <<RC
set no bouncemail
set no syslog
set idfile "$box/$1.ids"
poll localhost $2 timeout 20
  user "$1@yubin.test" password "$1-secret" $3
  no rewrite mda "$box/$1.mda"
RC
  chmod 700 "$box/$1.mda" "$box/$1.rc"
}

# fetch USER WANTED-EXIT: 0 is "mail was fetched", 1 is "there was none".
fetch() {
  local code=0
  fetchmail -v -f "$box/$1.rc" --pidfile "$box/$1.pid" || code=$?
  equal 'exit code' "$code" "$2"
}
fetched() { ls "$box/$1" | wc -l; }

letters() { # user from to
  for i in $(seq "$2" "$3"); do
    letter "$box/$1-$i.eml" "letter $i"
    deliver "$1" "$box/$1-$i.eml"
  done
}
unharmed() { # user from to: each of them was fetched whole
  for i in $(seq "$2" "$3"); do
    f=$(grep -l "^Subject: letter $i\$" "$box/$1"/*)
    sed 's/$/\r/' "$f" >"$box/got.eml"
    ends_with "$box/got.eml" "$box/$1-$i.eml"
  done
}

drain() {
  rc drains "port $POP3 proto POP3" "nokeep sslproto TLS1.2+ sslcertck sslcertfile \"$CA\""
  letters drains 1 3
  fetch drains 0
  equal 'fetched' "$(fetched drains)" 3
  unharmed drains 1 3
  equal 'left on the server' "$(ask count drains INBOX ALL)" 0
  fetch drains 1
}
check 'POP3 after STLS drains the maildrop' drain

keep() {
  rc keeps "port $POP3S proto POP3 uidl" "keep ssl sslcertck sslcertfile \"$CA\""
  letters keeps 1 3
  fetch keeps 0
  equal 'fetched' "$(fetched keeps)" 3
  unharmed keeps 1 3
  equal 'left on the server' "$(ask count keeps INBOX ALL)" 3
}
check 'POP3 over TLS leaves a copy' keep

again() {
  fetch keeps 1
  equal 'fetched after nothing new' "$(fetched keeps)" 3
  letters keeps 4 4
  fetch keeps 0
  equal 'fetched after one more' "$(fetched keeps)" 4
  unharmed keeps 4 4
  equal 'left on the server' "$(ask count keeps INBOX ALL)" 4
}
check 'and by UIDL each mail is fetched once' again

imap() {
  rc reads "port $IMAP proto IMAP" "keep sslproto TLS1.2+ sslcertck sslcertfile \"$CA\""
  letters reads 1 2
  fetch reads 0
  equal 'fetched' "$(fetched reads)" 2
  unharmed reads 1 2
  equal 'seen on the server' "$(ask count reads INBOX SEEN)" 2
  fetch reads 1
  equal 'fetched after nothing new' "$(fetched reads)" 2
}
check 'IMAP after STARTTLS leaves read mail' imap

exit $failed
