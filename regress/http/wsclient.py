"""A WebSocket client as simple as it gets, for tests: RFC 6455 without TLS."""
import json
import struct

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="                # RFC 6455 section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def handshake(**change):
    """A request; change sets fields, None leaves one out."""
    fields = {"Host": "x", "Upgrade": "websocket", "Connection": "Upgrade",
              "Sec_WebSocket_Key": KEY, "Sec_WebSocket_Version": "13"}
    line = change.pop("line", "GET /ws/status HTTP/1.1")
    fields.update(change)
    return (line + "\r\n" + "".join(
        "%s: %s\r\n" % (k.replace("_", "-"), v) for k, v in fields.items()
        if v is not None) + "\r\n").encode()


def frame(opcode, data=b"", fin=True, rsv=0, mask=b"\x12\x34\x56\x78"):
    head = bytes([fin << 7 | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if len(data) < 126:
        head += bytes([bit | len(data)])
    elif len(data) < 65536:
        head += struct.pack(">BH", bit | 126, len(data))
    else:
        head += struct.pack(">BQ", bit | 127, len(data))
    if mask:
        data = bytes(b ^ mask[i % 4] for i, b in enumerate(data))
    return head + (mask or b"") + data


class Ended(Exception):
    """The server closed the socket."""


class Client:
    """Answers no ping by itself; checks each frame of the server's."""

    def __init__(self, s, **change):
        self.s = s
        self.s.sendall(handshake(**change))
        self.buf = b""
        while b"\r\n\r\n" not in self.buf:
            self.more()
        head, _, self.buf = self.buf.partition(b"\r\n\r\n")
        self.head = head.decode()
        if not self.head.startswith("HTTP/1.1 101 "):
            raise Ended(self.head)

    def more(self):
        try:
            data = self.s.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Ended
        self.buf += data

    def take(self, n):
        while len(self.buf) < n:
            self.more()
        data, self.buf = self.buf[:n], self.buf[n:]
        return data

    def frame(self):
        a, b = self.take(2)
        n = b & 127
        assert a & 0x70 == 0 and b & 0x80 == 0, "rsv or mask"
        if n == 126:
            n, = struct.unpack(">H", self.take(2))
            assert n >= 126, "length"
        elif n == 127:
            n, = struct.unpack(">Q", self.take(8))
            assert n >= 65536, "length"
        assert a & 8 == 0 or (a & 0x80 and n < 126), "control frame"
        return a >> 7, a & 15, self.take(n)

    def message(self):
        """The next text."""
        text = b""
        while True:
            fin, opcode, data = self.frame()
            if opcode & 8:
                continue
            assert opcode == (0 if text else TEXT), "fragments"
            text += data
            if fin:
                return json.loads(text)

    def control(self):
        """The next control frame."""
        while True:
            _, opcode, data = self.frame()
            if opcode & 8:
                return opcode, data

    def send(self, *args, **kw):
        self.s.sendall(frame(*args, **kw))

    def ended(self):
        """What the server's Close said: a code, None; "reset" without one."""
        try:
            while True:
                opcode, data = self.control()
                if opcode == CLOSE:
                    break
        except Ended:
            return "reset"
        try:
            while True:
                self.frame()
        except Ended:
            pass
        return struct.unpack(">H", data[:2])[0] if data else None

    def close(self):
        self.s.close()
