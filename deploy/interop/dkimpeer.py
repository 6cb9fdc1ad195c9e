"""dkimpy as the other side of dkim.sh, and the DNS for both.

  dkimpeer.py dns ZONE PORTFILE         serve the TXT records of a zone file
  dkimpeer.py texts ZONE                print them, a name and its text a line
  dkimpeer.py verify ZONE MAIL          verify every signature
  dkimpeer.py sign DOMAIN SELECTOR KEY ALGORITHM FORM MAIL
  dkimpeer.py seal DOMAIN SELECTOR KEY MAIL
"""

import base64
import os
import socket
import sys

import dkim
import dns.message
import dns.rcode
import dns.zonefile


def records(path):
    with open(path) as f:
        return {r.name.to_text().lower(): r for r in dns.zonefile.read_rrsets(f.read(), rdclass=None, origin=".", relativize=False)}


def serve(zone, portfile):
    known = records(zone)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    with open(portfile + ".new", "w") as f:
        f.write(str(s.getsockname()[1]))
    os.rename(portfile + ".new", portfile)
    while True:
        wire, peer = s.recvfrom(4096)
        question = dns.message.from_wire(wire)
        answer = dns.message.make_response(question)
        found = known.get(question.question[0].name.to_text().lower())
        if found is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif found.rdtype == question.question[0].rdtype:
            answer.answer.append(found)
        s.sendto(answer.to_wire(max_size=4096), peer)


def texts(zone):
    for name, found in records(zone).items():
        print(name.rstrip("."), b"".join(found[0].strings).decode())


def verify(zone, mail):
    known = records(zone)

    def txt(name, timeout=5):
        found = known.get(name.decode().lower())
        return b"".join(found[0].strings) if found else None

    raw = open(mail, "rb").read()
    signatures = sum(line.lower().startswith(b"dkim-signature:") for line in raw.split(b"\r\n\r\n")[0].split(b"\r\n"))
    for i in range(signatures):
        try:
            passed = dkim.DKIM(raw).verify(idx=i, dnsfunc=txt)
        except dkim.ValidationError as why:
            print(why, file=sys.stderr)
            passed = False
        print("pass" if passed else "fail")


def sign(domain, selector, key, algorithm, form, mail):
    raw, secret = open(mail, "rb").read(), open(key, "rb").read()
    if algorithm == "ed25519-sha256":  # its seed, which PKCS #8 has at the end
        secret = base64.b64encode(base64.b64decode(b"".join(secret.splitlines()[1:-1]))[-32:])
    forms = tuple(f.encode() for f in form.split("/"))
    sys.stdout.buffer.write(dkim.sign(raw, selector.encode(), domain.encode(), secret,
                                      signature_algorithm=algorithm.encode(), canonicalize=forms) + raw)


def seal(domain, selector, key, mail):
    raw, secret = open(mail, "rb").read(), open(key, "rb").read()
    fields = dkim.arc_sign(raw, selector.encode(), domain.encode(), secret, b"peer.test")
    sys.stdout.buffer.write(b"".join(fields) + raw)


{"dns": serve, "texts": texts, "verify": verify, "sign": sign, "seal": seal}[sys.argv[1]](*sys.argv[2:])
