"""Asks the server by IMAP what is really there.

ask.py count USER MAILBOX CRITERIA      how many messages match
ask.py flag USER MAILBOX SET FLAGS      adds flags
ask.py expunge USER MAILBOX SET         marks and expunges
ask.py body USER MAILBOX NUMBER         the whole message on stdout
ask.py mailboxes USER                   their names, sorted, one per line
"""
import imaplib
import os
import sys


def main(what, user, mailbox=None, *rest):
    with imaplib.IMAP4("127.0.0.1", int(os.environ["IMAP"]), timeout=20) as c:
        c.login(f"{user}@yubin.test", f"{user}-secret")
        if what == "mailboxes":
            for line in sorted(c.list()[1]):
                print(line.decode().rsplit(" ", 1)[1].strip('"'))
            return
        kind, answer = c.select(mailbox)
        if kind != "OK":
            sys.exit(f"select {mailbox}: {answer}")
        if what == "count":
            print(len(c.search(None, *rest)[1][0].split()))
        elif what == "flag":
            done(c.store(rest[0], "+FLAGS", rest[1]))
        elif what == "expunge":
            done(c.store(rest[0], "+FLAGS", r"(\Deleted)"))
            done(c.expunge())
        elif what == "body":
            sys.stdout.buffer.write(done(c.fetch(rest[0], "(BODY.PEEK[])"))[0][1])
        else:
            sys.exit(__doc__)


def done(answer):
    kind, data = answer
    if kind != "OK":
        sys.exit(f"{kind} {data}")
    return data


main(*sys.argv[1:])
