# Two servers and a DNS in network namespaces of their own: real addresses,
# port 25, IPv6 and IPv4, and a cable that can be pulled. Skipped without
# the right to make namespaces.
. "$(dirname "$0")/lib.sh"
net=yubin$$
if [ "$(id -u)" != 0 ] || ! ip netns add "$net" 2>/dev/null; then
  echo "$name: skipped, no right to make network namespaces"
  exit 0
fi

finish() {
  local host pid
  for host in alpha beta dns; do
    for pid in $(ip netns pids "$net$host" 2>/dev/null); do # the servers, which are ours
      kill "$pid"
    done
  done
  wait
  for host in alpha beta dns; do
    ip netns del "$net$host" 2>/dev/null
  done
  ip netns del "$net"
}
trap finish EXIT
trap 'exit 130' INT TERM

# $net itself is the switch; the cables end in it. The addresses are for
# documentation, and to a mail server as public as any.
ip -n "$net" link add switch type bridge
ip -n "$net" link set switch up
for host in dns:2 alpha:10 beta:20; do
  n=${host#*:} host=${host%:*}
  ip netns add "$net$host"
  ip -n "$net" link add "$host" type veth peer name eth0 netns "$net$host"
  ip -n "$net" link set "$host" master switch up
  ip -n "$net$host" link set lo up
  ip -n "$net$host" addr add "192.0.2.$n/24" dev eth0
  ip -n "$net$host" addr add "2001:db8::$n/64" dev eth0 nodad
  ip -n "$net$host" link set eth0 up
done

reverse=0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa
cat >"$box/zone" <<ZONE
alpha.test. MX 10 mail.alpha.test.
alpha.test. TXT "v=spf1 mx -all"
_dmarc.alpha.test. TXT "v=DMARC1; p=reject"
_dmarc.beta.test. TXT "v=DMARC1; p=reject"
mail.alpha.test. A 192.0.2.10
mail.alpha.test. AAAA 2001:db8::10
0.1.$reverse. PTR mail.alpha.test.
0.2.$reverse. PTR mail.beta.test.
10.2.0.192.in-addr.arpa. PTR mail.alpha.test.
beta.test. MX 10 in.beta.test.
beta.test. TXT "v=spf1 a:mail.beta.test -all"
in.beta.test. A 192.0.2.20
in.beta.test. AAAA 2001:db8::99 ; where nobody is
mail.beta.test. A 192.0.2.20
mail.beta.test. AAAA 2001:db8::20
ZONE

in_house() { # host command...
  local host=$1
  shift
  (
    while read -r variable; do
      [ "$variable" = YUBIN ] || unset "$variable"
    done < <(compgen -e | grep '^YUBIN' || true)
    touch "$box/yubin.yaml"
    export YUBIN_CONFIG=$box/yubin.yaml YUBIN_DATA_DIR=$box/$host YUBIN_HOSTNAME=mail.$host.test YUBIN_DOMAINS=$host.test \
      YUBIN_SMTP_ADDR=:25 YUBIN_AUTH_ALLOW_PLAINTEXT=true YUBIN_AUTH_MAKE_KEYS=true YUBIN_DNS_RESOLVER=192.0.2.2 \
      YUBIN_RELAY_ENABLED=true YUBIN_RELAY_SCHEDULE=1s YUBIN_USERS="user@$host.test:secret"
    exec ip netns exec "$net$host" "$@"
  )
}
until_true() { # command...
  for _ in $(seq 100); do
    "$@" && return 0
    sleep 0.2
  done
  return 1
}
mkdir -p "$box/alpha" "$box/beta"
for host in alpha beta; do
  in_house "$host" "$YUBIN" serve >"$box/$host.log" 2>&1 &
done
for host in alpha beta; do
  until_true in_house "$host" "$YUBIN" healthcheck >"$box/health.log" 2>&1 || { echo "FAIL $name: $host does not start"; tail "$box/$host.log"; exit 1; }
done
in_house dns "$YUBIN" dns --addr :53 --zone "$box/zone" --keys "$box/alpha/dkim" --keys "$box/beta/dkim" >"$box/dns.log" 2>&1 &

submit() { # host subject to
  printf 'From: user@%s.test\r\nTo: %s\r\nSubject: %s\r\n\r\nHello.\r\n' "$1" "$3" "$2" >"$box/mail.eml"
  in_house "$1" curl -sS --max-time 20 "smtp://127.0.0.1:1587/client.$1.test" -u "user@$1.test:secret" \
    --mail-from "user@$1.test" --mail-rcpt "$3" --upload-file "$box/mail.eml"
}
found() { # host subject: the numbers of the mails
  in_house "$1" curl -sS --max-time 20 "imap://127.0.0.1:1143/INBOX" -u "user@$1.test:secret" -X "SEARCH SUBJECT \"$2\"" | tr -d '\r' | sed -n 's/^\* SEARCH *//p'
}
arrived() { [ -n "$(found "$1" "$2")" ]; }
fetch() { # host subject
  in_house "$1" curl -sS --max-time 20 "imap://127.0.0.1:1143/INBOX;MAILINDEX=$(found "$1" "$2")" -u "user@$1.test:secret"
}
vouched() { # file result...
  local file=$1 result
  shift
  for result in "$@"; do
    grep -q "$result" "$file" || { echo "no $result"; cat "$file"; return 1; }
  done
}

by_ipv6() {
  submit beta first user@alpha.test
  until_true arrived alpha first
  fetch alpha first >"$box/first"
  vouched "$box/first" '2001:db8::20' iprev=pass spf=pass dkim=pass dmarc=pass
}
check 'mail goes by IPv6 to port 25, and everything vouches for it' by_ipv6

by_ipv4() {
  submit alpha second user@beta.test
  until_true arrived beta second
  fetch beta second >"$box/second"
  vouched "$box/second" '192\.0\.2\.10' iprev=pass spf=pass dkim=pass dmarc=pass
}
check 'where IPv6 leads nowhere, IPv4 is tried' by_ipv4

waits() { in_house alpha "$YUBIN" queue list | grep -q "$1"; }
cable() {
  ip -n "$net" link set beta down
  submit alpha third user@beta.test
  until_true waits user@beta.test
  arrived beta third && return 1
  ip -n "$net" link set beta up
  until_true arrived beta third
  equal 'mails' "$(found beta third | wc -w)" 1
}
check 'the cable is pulled, the mail waits; put back, it arrives once' cable

comes_back() {
  submit alpha fourth nobody@beta.test
  until_true arrived alpha fourth
  fetch alpha fourth | grep -q 'Status: 5.1.1'
}
check 'a mail to an unknown user comes back' comes_back
exit "$failed"
