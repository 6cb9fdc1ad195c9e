# Postfix as the next server and as the sender, with STARTTLS both ways. It
# runs from a folder of its own, beside whatever Postfix this machine has, and
# so does the yubin that sends to it. Needs root, as Postfix does.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] && command -v postfix >/dev/null || { echo "FAIL $name: Postfix is missing, or this is not root"; exit 1; }
house=$(mktemp -d) # where Postfix's own users can get at it
chmod 755 "$house"
conf=$house/conf
mkdir -p "$conf" "$house/queue" "$house/data" "$house/mail"
chown postfix "$house/data"
chown nobody "$house/mail"

read -r MAIN OLD SMTP SUBMISSION IMAP POP3 ADMIN DNS < <(python3 -c '
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(8)]
print(*(s.getsockname()[1] for s in held))')
export SMTP SUBMISSION IMAP

# postfix.test lives here; yubin.test is reached at yubin's own port.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=mail.postfix.test -addext subjectAltName=IP:127.0.0.1 \
  -keyout "$house/key.pem" -out "$house/cert.pem" 2>/dev/null
cat >"$conf/main.cf" <<CF
compatibility_level = 3.6
queue_directory = $house/queue
data_directory = $house/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = $house/log
maillog_file_prefixes = $house
myhostname = mail.postfix.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtpd_tls_cert_file = $house/cert.pem
smtpd_tls_key_file = $house/key.pem
smtp_tls_security_level = encrypt
smtp_tls_loglevel = 1
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
virtual_mailbox_domains = postfix.test, old.test
virtual_mailbox_base = $house/mail
virtual_mailbox_maps = inline:{ bob@postfix.test=bob/, bob@old.test=bob/ }
virtual_uid_maps = static:$(id -u nobody)
virtual_gid_maps = static:$(id -g nobody)
virtual_minimum_uid = 1
default_transport = smtp:[127.0.0.1]:$SMTP
message_size_limit = 5000000
CF
{
  echo "127.0.0.1:$MAIN inet n - n - - smtpd"
  # A server of the last century: nothing but SMTP.
  echo "127.0.0.1:$OLD inet n - n - - smtpd -o smtpd_discard_ehlo_keywords=8bitmime,pipelining,dsn,starttls,smtputf8,chunking"
  sed -n '/^cleanup\|^qmgr\|^tlsmgr\|^rewrite\|^bounce\|^defer\|^trace\|^verify\|^flush\|^proxymap\|^proxywrite\|^smtp .*unix\|^relay\|^showq\|^error\|^retry\|^discard\|^local\|^virtual\|^anvil\|^scache\|^postlog/p' /etc/postfix/master.cf |
    awk '{ $5 = "n"; print }' # no chroot
} >"$conf/master.cf"

export YUBIN_CONFIG=$box/yubin.yaml YUBIN_DATA_DIR=$box/data YUBIN_HOSTNAME=mail.yubin.test YUBIN_DOMAINS=yubin.test \
  YUBIN_SMTP_ADDR=127.0.0.1:$SMTP YUBIN_SUBMISSION_ADDR=127.0.0.1:$SUBMISSION YUBIN_SUBMISSIONS_ADDR= \
  YUBIN_POP3_ADDR=127.0.0.1:$POP3 YUBIN_POP3S_ADDR= YUBIN_IMAP_ADDR=127.0.0.1:$IMAP YUBIN_IMAPS_ADDR= YUBIN_ADMIN_ADDR=127.0.0.1:$ADMIN \
  YUBIN_DNS_RESOLVER=127.0.0.1:$DNS YUBIN_AUTH_TRUSTED_NETWORKS= YUBIN_RELAY_ENABLED=true YUBIN_RELAY_SCHEDULE=1s YUBIN_RELAY_ROUTES="postfix.test=127.0.0.1:$MAIN,old.test=127.0.0.1:$OLD"
: >"$YUBIN_CONFIG"

yubin=
dns=
finish() {
  [ -z "$dns" ] || { kill "$dns" && wait "$dns"; } 2>/dev/null
  [ -z "$yubin" ] || { kill "$yubin" && wait "$yubin"; } 2>/dev/null
  postfix -c "$conf" stop >/dev/null 2>&1
  rm -rf "$house"
}
trap finish EXIT

await() { # COMMAND ... until it succeeds
  local try
  for try in $(seq 150); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.1
  done
  echo "waited in vain for: $*"
  tail -n 20 "$house/log" "$box/server.log"
  return 1
}

start_postfix() { postfix -c "$conf" start >"$box/postfix.out" 2>&1 || { cat "$box/postfix.out"; return 1; }; }
start_postfix || { echo "FAIL $name: Postfix does not start"; cat "$box/postfix.out" "$house/log" 2>/dev/null; exit 1; }
echo 'postfix.test. 60 IN TXT "v=spf1 ip4:127.0.0.1 -all"' >"$box/zone"
"$YUBIN" dns --zone "$box/zone" --addr "127.0.0.1:$DNS" >"$box/dns.log" 2>&1 &
dns=$!
"$YUBIN" serve >"$box/server.log" 2>&1 &
yubin=$!
await "$YUBIN" healthcheck || { echo "FAIL $name: yubin does not start"; exit 1; }
for u in ada eve; do add_user "$u"; done

submit() { # FILE TO ...
  local file=$1 args=() to
  shift
  for to; do args+=(--mail-rcpt "$to"); done
  curl -sS --max-time 20 "smtp://127.0.0.1:$SUBMISSION/client.example.org" --user ada@yubin.test:ada-secret \
    --mail-from ada@yubin.test "${args[@]}" --upload-file "$file"
}
# ours SUBJECT is a mail from ada, as letter makes it.
ours() {
  letter "$box/$1.eml" "$1"
  sed -i 's/^From: .*\r$/From: Ada <ada@yubin.test>\r/' "$box/$1.eml"
}
arrived() { # USER SUBJECT: how many mails with it lie in Postfix's maildir
  { grep -rl "^Subject: $2" "$house/mail/$1/new" 2>/dev/null || true; } | wc -l
}
came() { [ "$(arrived "$1" "$2")" = "$3" ]; }
inbox() { [ "$(ask count "$1" INBOX "$2")" = "$3" ]; } # user, search key, how many
empty() { [ "$("$YUBIN" queue list --json | tr -d ' \n')" = '[]' ]; }

to_postfix() {
  ours first
  submit "$box/first.eml" bob@postfix.test
  await came bob first 1
  # Postfix writes mail with the line ends of this machine.
  sed 's/\r$//' "$box/first.eml" >"$box/first.txt"
  ends_with "$(grep -rl '^Subject: first' "$house/mail/bob/new")" "$box/first.txt"
  grep -q 'TLSv1' "$(grep -rl '^Subject: first' "$house/mail/bob/new")"
  empty
}
check 'a mail arrives unchanged, under STARTTLS' to_postfix

to_nobody() {
  ours second
  submit "$box/second.eml" bob@postfix.test nobody@postfix.test
  await came bob second 1
  await inbox ada 'FROM MAILER-DAEMON@mail.yubin.test' 1
  ask body ada INBOX 1 >"$box/notice.eml"
  grep -q '^Action: failed' "$box/notice.eml"
  grep -q '^Final-Recipient: rfc822; nobody@postfix.test' "$box/notice.eml"
  grep -q '^Status: 5.1.1' "$box/notice.eml"
  python3 - "$box/notice.eml" <<'PY'
import email, email.policy, sys
m = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
kinds = [p.get_content_type() for p in m.iter_parts()]
assert kinds == ["text/plain", "message/delivery-status", "message/rfc822"], kinds
assert m["Auto-Submitted"] == "auto-replied" and m["Return-Path"] in (None, "<>")
said = m.get_payload()[0].get_content()
assert "この宛先は存在しません" in said and "There is no such address" in said, said
assert not m.defects, m.defects
PY
}
check 'an unknown recipient comes back as a notice people and programs can read' to_nobody

to_an_old_server() {
  ours third
  submit "$box/third.eml" bob@old.test
  await came bob third 1
  python3 - "$box/third.eml" "$(grep -rl '^Subject: third' "$house/mail/bob/new")" <<'PY'
import email, sys
sent, got = (email.message_from_binary_file(open(f, "rb")) for f in sys.argv[1:])
text = lambda m: m.get_payload(decode=True).replace(b"\r\n", b"\n")
assert got["Content-Transfer-Encoding"] == "quoted-printable", got["Content-Transfer-Encoding"]
assert text(sent) == text(got)
PY
}
check 'a server without 8BITMIME, PIPELINING and DSN gets 7 bits that say the same' to_an_old_server

waits() {
  postfix -c "$conf" stop >/dev/null 2>&1
  ours fifth
  submit "$box/fifth.eml" bob@postfix.test
  await sh -c '"$YUBIN" queue list --json | grep -q "connection refused"'
  came bob fifth 0
  start_postfix
  await came bob fifth 1
  await empty
  came bob fifth 1
}
check 'a mail waits for a server that is down, and arrives once' waits

many() {
  local i
  for i in $(seq 200); do ours "many-$i"; submit "$box/many-$i.eml" bob@postfix.test; done
  await came bob many- 200
  await empty
}
check '200 mails arrive, each once' many

too_large() {
  ours large
  head -n 160000 < <(yes 'A line of a mail that is too large.') | sed 's/$/\r/' >>"$box/large.eml"
  submit "$box/large.eml" bob@postfix.test
  await inbox ada 'SUBJECT large' 1
  came bob large 0
}
check 'a mail that is too large there comes back' too_large

from_postfix() {
  letter "$box/back.eml" back
  curl -sS --max-time 20 "smtp://127.0.0.1:$MAIN/client.example.org" --mail-from bob@postfix.test --mail-rcpt eve@yubin.test --upload-file "$box/back.eml"
  await inbox eve 'SUBJECT back' 1
  ask body eve INBOX 1 >"$box/back.got"
  ends_with "$box/back.got" "$box/back.eml"
  grep -q 'with ESMTPS' "$box/back.got"
  grep -q 'TLS connection established to 127.0.0.1' "$house/log"
}
check 'Postfix sends to yubin, under STARTTLS' from_postfix

confirmed() {
  python3 - "$SUBMISSION" <<'PY'
import smtplib, sys
with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), timeout=20) as s:
    s.ehlo()
    s.login("ada@yubin.test", "ada-secret")
    s.sendmail("ada@yubin.test", ["bob@postfix.test"], "From: ada@yubin.test\nTo: bob@postfix.test\nSubject: asked\n\nDid it arrive?\n",
               ["RET=HDRS", "ENVID=x1"], ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;bob@postfix.test"])
PY
  await inbox ada 'SUBJECT Successful' 1
  ask body ada INBOX "$(ask count ada INBOX ALL)" >"$box/confirmed.eml"
  grep -q '^Action: delivered' "$box/confirmed.eml"
  grep -q '^Original-Envelope-Id: x1' "$box/confirmed.eml"
}
check 'Postfix confirms delivery as the sender asked' confirmed

confirms() {
  python3 - "$MAIN" <<'PY'
import smtplib, sys
with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), timeout=20) as s:
    s.ehlo()
    s.sendmail("bob@postfix.test", ["eve@yubin.test"], "From: bob@postfix.test\nTo: eve@yubin.test\nSubject: asked too\n\nDid it arrive?\n",
               ["RET=FULL", "ENVID=x2"], ["NOTIFY=SUCCESS"])
PY
  await inbox eve 'SUBJECT "asked too"' 1
  await came bob 'Mail delivered: asked too' 1
  python3 - "$(grep -rl '^Subject: Mail delivered: asked too' "$house/mail/bob/new")" <<'PY'
import email, email.policy, sys
m = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
kinds = [p.get_content_type() for p in m.iter_parts()]
assert kinds == ["text/plain", "message/delivery-status", "text/rfc822-headers"], kinds
whole, one = m.get_payload()[1].get_payload()
assert whole["Original-Envelope-Id"] == "x2" and whole["Reporting-MTA"] == "dns; mail.yubin.test", whole
assert one["Action"] == "delivered" and one["Original-Recipient"] == "rfc822; eve@yubin.test", one
assert not m.defects, m.defects
PY
}
check "yubin confirms delivery as Postfix's sender asked, because SPF vouches for it" confirms

exit $failed
