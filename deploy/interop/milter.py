"""Shows a mail to a milter, as a mail server does, and prints it with the
header fields that the milter adds.

  milter.py SOCKET CLIENT MAIL

CLIENT is the address of the client that the mail is said to come from.
"""

import socket
import struct
import sys

KEEP_SPACE = 0x00100000  # header fields keep the blank after their colon
CHUNK = 65535


class Milter:
    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(20)
        self.s.connect(path)

    def send(self, command, data=b""):
        self.s.sendall(struct.pack("!I", len(data) + 1) + command + data)

    def read(self):
        size = struct.unpack("!I", self.exactly(4))[0]
        packet = self.exactly(size)
        return packet[:1], packet[1:]

    def exactly(self, n):
        got = b""
        while len(got) < n:
            more = self.s.recv(n - len(got))
            if not more:
                raise SystemExit("the milter has gone")
            got += more
        return got

    def ask(self, command, data=b""):
        """One step, and that it may go on; returns what is asked to be changed."""
        self.send(command, data)
        changes = []
        while True:
            answer, data = self.read()
            if answer == b"c" or answer == b"a" and command == b"E":
                return changes
            if answer in b"hi":
                changes.append(data if answer == b"h" else data[4:])
            elif answer != b"p":
                raise SystemExit(f"the milter answers {answer} {data} to {command}")


def fields(header):
    """Name and value of each field, folded as it is."""
    all = []
    for line in header.split(b"\r\n"):
        if line[:1] in (b" ", b"\t"):
            all[-1][1] += b"\r\n" + line
        else:
            all.append([*line.split(b":", 1)])
    return all


def main(path, client, mail):
    raw = open(mail, "rb").read()
    header, body = raw.split(b"\r\n\r\n", 1)
    m = Milter(path)
    m.send(b"O", struct.pack("!III", 6, 0x1FF, KEEP_SPACE))
    kind, data = m.read()
    _, _, flags = struct.unpack("!III", data[:12])
    assert kind == b"O" and flags & ~KEEP_SPACE == 0, (kind, data)
    m.send(b"D", b"Cj\0mx.peer.test\0")
    m.ask(b"C", b"client.peer.test\0" + b"4" + struct.pack("!H", 40000) + client.encode() + b"\0")
    m.ask(b"H", b"client.peer.test\0")
    m.send(b"D", b"Mi\0job1\0")
    m.ask(b"M", b"<ada@signed.test>\0")
    m.ask(b"R", b"<someone@yubin.test>\0")
    for name, value in fields(header):
        if not flags & KEEP_SPACE:
            value = value.removeprefix(b" ")
        m.ask(b"L", name + b"\0" + value.replace(b"\r\n", b"\n") + b"\0")
    m.ask(b"N")
    for i in range(0, len(body), CHUNK):
        m.ask(b"B", body[i : i + CHUNK])
    for change in m.ask(b"E"):
        name, value, _ = change.split(b"\0")
        blank = b"" if flags & KEEP_SPACE else b" "
        sys.stdout.buffer.write(name + b":" + blank + value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"\r\n")
    sys.stdout.buffer.write(raw)
    m.send(b"Q")


main(*sys.argv[1:])
