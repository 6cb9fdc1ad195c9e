"""Python's own smtplib, poplib and imaplib: Japanese mail, attachments, and
what one client sees of another's work."""

import base64
import email
import email.policy
import imaplib
import os
import poplib
import smtplib
import socket
import ssl
import subprocess
import sys
import time
import traceback
from email.header import Header
from email.message import EmailMessage
from email.mime.text import MIMEText

HOST = "localhost"
TRUST = ssl.create_default_context(cafile=os.environ["CA"])
PATIENCE = 20


def port(name):
    return int(os.environ[name])


def add_user(name):
    subprocess.run(
        [os.environ["YUBIN"], "user", "add", f"{name}@yubin.test", "--password-stdin"],
        input=f"{name}-secret".encode(), check=True, stdout=subprocess.DEVNULL)


def imap(name, mailbox="INBOX"):
    c = imaplib.IMAP4(HOST, port("IMAP"), timeout=PATIENCE)
    ok(c.starttls(TRUST))
    ok(c.login(f"{name}@yubin.test", f"{name}-secret"))
    if mailbox:
        ok(c.select(mailbox))
    return c


def pop(name):
    c = poplib.POP3_SSL(HOST, port("POP3S"), context=TRUST, timeout=PATIENCE)
    c.user(f"{name}@yubin.test")
    c.pass_(f"{name}-secret")
    return c


def submit(sender, to, raw):
    with smtplib.SMTP(HOST, port("SUBMISSION"), timeout=PATIENCE) as c:
        c.starttls(context=TRUST)
        c.login(f"{sender}@yubin.test", f"{sender}-secret")
        return c.sendmail(f"{sender}@yubin.test", [f"{to}@yubin.test"], raw)


def ok(answer):
    kind, data = answer
    assert kind == "OK", (kind, data)
    return data


def equal(got, wanted):
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"


def plain(subject, body="text\r\n"):
    return (f"From: hiroshi@yubin.test\r\nTo: naoko@yubin.test\r\nSubject: {subject}\r\n\r\n{body}").encode()


def old_japanese(charset):
    m = MIMEText(f"打ち合わせは{charset}で書きました。\n", "plain", charset)
    m["From"] = "hiroshi@yubin.test"
    m["To"] = "naoko@yubin.test"
    m["Subject"] = Header(f"打ち合わせ {charset}", charset)
    return m.as_string().encode("ascii")


def japanese():
    for charset in ("utf-8", "iso-2022-jp", "shift_jis", "euc-jp"):
        equal(submit("hiroshi", "naoko", old_japanese(charset)), {})
    p = pop("naoko")
    equal(p.stat()[0], 4)
    for n, charset in enumerate(("utf-8", "iso-2022-jp", "shift_jis", "euc-jp"), 1):
        m = email.message_from_bytes(b"\r\n".join(p.retr(n)[1]) + b"\r\n", policy=email.policy.default)
        equal(m["Subject"], f"打ち合わせ {charset}")
        equal(m.get_content().strip(), f"打ち合わせは{charset}で書きました。")
    p.quit()


def search():
    c = imap("naoko")
    for key, wanted in (("SUBJECT", b"1 2 3 4"), ("BODY", b"1 2 3 4"), ("TEXT", b"1 2 3 4")):
        c.literal = "打ち合わせ".encode()
        equal(ok(c.search("UTF-8", key))[0], wanted)
    c.literal = "shift_jisで書きました".encode()
    equal(ok(c.search("UTF-8", "BODY"))[0], b"3")
    c.literal = "見当たらない".encode()
    equal(ok(c.search("UTF-8", "BODY"))[0] or b"", b"")
    equal(ok(c.search(None, "FROM", "hiroshi", "SUBJECT", "euc-jp"))[0], b"4")
    c.logout()


def attachment():
    data = bytes(range(256)) * 4000
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = "hiroshi@yubin.test", "naoko@yubin.test", "添付"
    m.set_content("ご確認ください。\n")
    m.add_attachment(data, maintype="application", subtype="octet-stream", filename="議事録.bin")
    with smtplib.SMTP_SSL(HOST, port("SUBMISSIONS"), context=TRUST, timeout=PATIENCE) as c:
        c.login("hiroshi@yubin.test", "hiroshi-secret")
        equal(c.send_message(m), {})
    c = imap("naoko")
    equal(ok(c.search(None, "LARGER", "1000000"))[0], b"5")
    raw = ok(c.fetch("5", "(BODY.PEEK[])"))[0][1]
    assert f"RFC822.SIZE {len(raw)}".encode() in ok(c.fetch("5", "(RFC822.SIZE)"))[0]
    got = email.message_from_bytes(raw, policy=email.policy.default)
    part = next(got.iter_attachments())
    equal(part.get_filename(), "議事録.bin")
    assert part.get_content() == data
    assert base64.b64decode(ok(c.fetch("5", "(BODY.PEEK[2])"))[0][1]) == data
    equal(ok(c.fetch("5", "(BODY.PEEK[]<1000.5000>)"))[0][1], raw[1000:6000])
    c.logout()
    p = pop("naoko")
    assert b"\r\n".join(p.retr(5)[1]) + b"\r\n" == raw
    p.quit()


def two_clients():
    a, b = imap("naoko"), imap("naoko")
    ok(a.store("1", "+FLAGS", r"(\Flagged)"))
    ok(b.noop())
    seen = b"".join(x for x in b.response("FETCH")[1] if x)
    assert b"\\Flagged" in seen and seen.startswith(b"1 ("), seen
    ok(a.store("4", "+FLAGS", r"(\Deleted)"))
    ok(a.expunge())
    ok(b.noop())
    equal([x for x in b.response("EXPUNGE")[1]], [b"4"])
    equal(ok(b.search(None, "ALL"))[0], b"1 2 3 4")
    a.logout()
    b.logout()


class Idler:
    """Talks IMAP by hand, since imaplib of this age knows no IDLE."""

    def __init__(self, name):
        self.sock = socket.create_connection((HOST, port("IMAPS")), timeout=PATIENCE)
        self.sock = TRUST.wrap_socket(self.sock, server_hostname=HOST)
        self.file = self.sock.makefile("rb")
        self.until(b"* OK")
        self.say(f"1 LOGIN {name}@yubin.test {name}-secret")
        self.until(b"1 OK")
        self.say("2 SELECT INBOX")
        self.until(b"2 OK")
        self.say("3 IDLE")
        self.until(b"+")

    def say(self, line):
        self.sock.sendall(line.encode() + b"\r\n")

    def until(self, start, part=b""):
        while True:
            line = self.file.readline()
            assert line, "connection closed"
            if line.startswith(start) and part in line:
                return

    def close(self):
        self.say("DONE")
        self.until(b"3 OK")
        self.say("4 LOGOUT")
        self.until(b"* BYE")
        self.until(b"4 OK")
        self.sock.close()


def idle():
    idler = Idler("idle")
    submit("hiroshi", "idle", plain("to be heard"))
    idler.until(b"* 1 EXISTS")
    c = imap("idle")
    ok(c.store("1", "+FLAGS", r"(\Seen)"))
    idler.until(b"* 1 FETCH", rb"\Seen")
    c.logout()
    p = pop("idle")
    p.dele(1)
    p.quit()
    idler.until(b"* 1 EXPUNGE")
    idler.close()


def pop_transaction():
    for i in range(3):
        submit("hiroshi", "drop", plain(f"drop {i}", "..dots\r\n.\r\nend\r\n"))
    p = pop("drop")
    ids = [x.split()[1] for x in p.uidl()[1]]
    equal(len(set(ids)), 3)
    p.dele(1)
    equal(p.stat()[0], 2)
    p.rset()
    equal(p.stat()[0], 3)
    p.dele(2)
    p.close()  # no QUIT: nothing is deleted
    for _ in range(100):  # the lock of the lost connection goes when the server hears of it
        try:
            p = pop("drop")
            break
        except poplib.error_proto as e:
            assert b"[IN-USE]" in e.args[0], e
            time.sleep(0.1)
    equal(p.stat()[0], 3)
    try:
        pop("drop")
        raise AssertionError("a second login got the maildrop")
    except poplib.error_proto as e:
        assert b"[IN-USE]" in e.args[0], e
    top = p.top(1, 0)[1]
    assert any(x.startswith(b"Subject: drop 0") for x in top) and b"end" not in top, top
    equal(p.retr(1)[1][-3:], [b"..dots", b".", b"end"])
    p.dele(2)
    p.quit()
    p = pop("drop")
    equal([x.split()[1] for x in p.uidl()[1]], [ids[0], ids[2]])
    p.quit()


def append_and_move():
    c = imap("naoko")
    name = "&igh1Ow-"  # 計画 in modified UTF-7
    ok(c.create(name))
    raw = plain("moved", "日本語の本文\r\n")
    when = imaplib.Time2Internaldate(1_600_000_000)
    ok(c.append(name, r"(\Seen $Forwarded)", when, raw))
    ok(c.select(name))
    equal(ok(c.fetch("1", "(BODY.PEEK[])"))[0][1], raw)
    facts = ok(c.fetch("1", "(FLAGS INTERNALDATE)"))[0]
    assert b"\\Seen" in facts and b"$Forwarded" in facts, facts
    equal(time.mktime(imaplib.Internaldate2tuple(facts)), 1_600_000_000.0)
    ok(c.uid("MOVE", ok(c.uid("SEARCH", None, "ALL"))[0].decode(), "Archive"))
    equal(ok(c.search(None, "ALL"))[0] or b"", b"")
    equal(ok(c.select("Archive", readonly=True)), [b"1"])
    equal(ok(c.fetch("1", "(BODY.PEEK[])"))[0][1], raw)
    c.store("1", "+FLAGS", r"(\Flagged)")  # whatever the answer, nothing may change
    ok(c.select("Archive"))
    equal(ok(c.search(None, "FLAGGED"))[0] or b"", b"")
    ok(c.select("INBOX"))
    ok(c.delete(name))
    c.logout()


def unread_after_peek():
    c = imap("naoko")
    ok(c.store("2", "-FLAGS", r"(\Seen)"))
    ok(c.fetch("2", "(BODY.PEEK[TEXT])"))
    equal(ok(c.search(None, "UNSEEN", "2"))[0], b"2")
    ok(c.fetch("2", "(BODY[TEXT])"))
    equal(ok(c.search(None, "SEEN", "2"))[0], b"2")
    c.logout()


CASES = {
    "Japanese mail in four encodings is read by POP3": japanese,
    "IMAP finds it by words in UTF-8": search,
    "an attachment arrives whole by IMAP, in parts and by POP3": attachment,
    "two IMAP clients see each other's changes": two_clients,
    "an idle client hears delivery, flags and a POP3 deletion": idle,
    "POP3 deletes at QUIT and not before, one login at a time": pop_transaction,
    "APPEND and MOVE keep bytes, date and flags": append_and_move,
    "PEEK leaves a mail unread": unread_after_peek,
}

for name in ("hiroshi", "naoko", "idle", "drop"):
    add_user(name)
failed = 0
for title, case in CASES.items():
    try:
        case()
        print(f"ok python: {title}", flush=True)
    except Exception:
        failed = 1
        print(f"FAIL python: {title}", flush=True)
        print("    " + traceback.format_exc(limit=-3).strip().replace("\n", "\n    "), flush=True)
sys.exit(failed)
