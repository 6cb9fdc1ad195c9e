"""Uses what deploy/compose.two-servers.yml publishes, as two people would.

two_servers_check.py answer            alice writes, bob fetches by POP3, reads by IMAP and answers
two_servers_check.py send SUBJECT [TO] alice writes
two_servers_check.py wait WHO COUNT SUBJECT
                                       waits until WHO has COUNT mails with the subject, prints the last
"""

import imaplib
import poplib
import smtplib
import sys
import time
from email.message import EmailMessage

PORTS = {"alice": (2587, 2110, 2143), "bob": (3587, 3110, 3143)}
ADDRESS = {"alice": "alice@alpha.test", "bob": "bob@beta.test"}


def send(who, subject, to):
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = ADDRESS[who], to, subject
    m.set_content("会議は十時からです。\n")
    with smtplib.SMTP("127.0.0.1", PORTS[who][0], timeout=20) as c:
        c.login(ADDRESS[who], who)
        c.send_message(m)


def imap(who):
    c = imaplib.IMAP4("127.0.0.1", PORTS[who][2], timeout=20)
    c.login(ADDRESS[who], who)
    c.select("INBOX")
    return c


def wait(who, count, subject):
    for _ in range(120):
        c = imap(who)
        found = c.uid("SEARCH", None, "SUBJECT", f'"{subject}"')[1][0].split()
        if len(found) >= count:
            text = c.uid("FETCH", found[-1].decode(), "(BODY.PEEK[])")[1][0][1].decode()
            c.logout()
            assert len(found) == count, found
            return text
        c.logout()
        time.sleep(0.5)
    raise SystemExit(f"{who} has {len(found)} mails with {subject!r}, not {count}")


def answer():
    send("alice", "Shall we meet?", ADDRESS["bob"])
    text = wait("bob", 1, "Shall we meet?")
    for want in ("spf=pass", "dkim=pass", "dmarc=pass", "iprev=pass"):
        assert want in text, text
    p = poplib.POP3("127.0.0.1", PORTS["bob"][1], timeout=20)
    p.user(ADDRESS["bob"])
    p.pass_("bob")
    assert p.stat()[0] == 1, p.stat()
    fetched = b"\r\n".join(p.retr(1)[1]).decode()
    assert fetched.strip() == text.strip(), (fetched, text)
    p.quit()
    send("bob", "Re: Shall we meet?", ADDRESS["alice"])
    assert "dkim=pass" in wait("alice", 1, "Re: Shall we meet?")


match sys.argv[1:]:
    case ["answer"]:
        answer()
    case ["send", subject]:
        send("alice", subject, ADDRESS["bob"])
    case ["send", subject, to]:
        send("alice", subject, to)
    case ["wait", who, count, subject]:
        print(wait(who, int(count), subject))
    case _:
        raise SystemExit(__doc__)
