"""Uses the ports that docker-compose.yml publishes, as a person on the host would.

compose_check.py first FILE   sends, reads and changes mail, and notes what is left
compose_check.py again FILE   finds the same again: UIDs, UIDLs, the certificate
"""

import imaplib
import json
import poplib
import smtplib
import ssl
import sys
from email.message import EmailMessage

HOST = "127.0.0.1"


def letter(subject, to="alice@yubin.test"):
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = "bob@yubin.test", to, subject
    m.set_content("明日の会議は十時からです。\n")
    return m


def imap():
    c = imaplib.IMAP4(HOST, 1143, timeout=20)
    ok(c.login("alice@yubin.test", "alice"))
    ok(c.select("INBOX"))
    return c


def pop():
    p = poplib.POP3(HOST, 1110, timeout=20)
    p.user("alice@yubin.test")
    p.pass_("alice")
    return p


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


def find(c, subject):
    return ok(c.uid("SEARCH", None, "SUBJECT", f'"{subject}"'))[0].decode().split()


def send():
    with smtplib.SMTP(HOST, 1025, timeout=20) as c:
        c.send_message(letter("by SMTP"), "someone@example.org", ["alice@yubin.test"])
    with smtplib.SMTP(HOST, 1587, timeout=20) as c:
        c.login("bob@yubin.test", "bob")
        c.send_message(letter("by submission"))
    anyone = ssl._create_unverified_context()  # the authority is inside the volume
    with smtplib.SMTP_SSL(HOST, 1465, timeout=20, context=anyone) as c:
        c.login("bob@yubin.test", "bob")
        c.send_message(letter("to be kept"))


def first():
    send()
    a, b = imap(), imap()
    seen = [find(c, "by SMTP") for c in (a, b)]
    assert seen[0] == seen[1] and len(seen[0]) == 1, seen

    number = ok(a.search(None, "SUBJECT", '"by SMTP"'))[0].decode()
    ok(a.store(number, "+FLAGS", r"(\Flagged)"))
    ok(b.noop())
    heard = b"".join(x for x in b.response("FETCH")[1] if x)
    assert rb"\Flagged" in heard, heard

    p = pop()
    count = p.stat()[0]
    numbers = {}
    for n in range(1, count + 1):
        for line in p.top(n, 0)[1]:
            if line.startswith(b"Subject: "):
                numbers[line[9:].decode()] = n
    body = b"\r\n".join(p.retr(numbers["by submission"])[1])
    assert "明日の会議は十時からです。".encode() in body or b"5piO5pel" in body, body
    p.dele(numbers["by submission"])
    p.quit()
    for c in (a, b):
        ok(c.noop())
        assert c.response("EXPUNGE")[1] != [None], "IMAP did not hear of the POP3 deletion"
        assert find(c, "by submission") == []
        c.logout()

    anyone = ssl._create_unverified_context()
    p = poplib.POP3_SSL(HOST, 1995, context=anyone, timeout=20)
    p.user("alice@yubin.test")
    p.pass_("alice")
    assert p.stat()[0] == count - 1, p.stat()
    p.quit()
    c = imaplib.IMAP4_SSL(HOST, 1993, ssl_context=anyone, timeout=20)
    ok(c.login("alice@yubin.test", "alice"))
    c.logout()
    with open(sys.argv[2], "w") as f:
        json.dump(facts(), f)


def facts():
    c = imap()
    uid = find(c, "to be kept")
    assert len(uid) == 1, uid
    validity = c.response("UIDVALIDITY")[1][0].decode()
    c.logout()
    p = pop()
    uidl = b" ".join(p.uidl()[1]).decode()
    p.quit()
    return [uid[0], validity, uidl, ssl.get_server_certificate((HOST, 1993))]


def again():
    with open(sys.argv[2]) as f:
        before = json.load(f)
    now = facts()
    assert now == before, (now, before)


{"first": first, "again": again}[sys.argv[1]]()
