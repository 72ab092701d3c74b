"""Who has a seed of the write lease: Ed25519 as RFC 8032 says it, and one end of a
link (src/wire.h), to show whose signatures are believed, and whose no more."""
import functools
import hashlib
import socket
import struct
import time

import attack
import fence
from api import Failure

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)      # of -1


def _add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def _times(n, p):
    out = (0, 1, 1, 0)
    while n:
        if n & 1:
            out = _add(out, p)
        p, n = _add(p, p), n >> 1
    return out


def _x_of(y, sign):
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * ROOT % P
    return P - x if x & 1 != sign else x


def _point(b):
    y = int.from_bytes(b, "little")
    x = _x_of(y & (1 << 255) - 1, y >> 255)
    y &= (1 << 255) - 1
    return (x, y, 1, x * y % P)


def _bytes(p):
    z = pow(p[2], P - 2, P)
    return (p[1] * z % P | (p[0] * z % P & 1) << 255).to_bytes(32, "little")


BASE = _point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def _number(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


def _expand(seed):
    h = hashlib.sha512(bytes.fromhex(seed)).digest()
    a = int.from_bytes(h[:32], "little")
    return a & (1 << 254) - 8 | 1 << 254, h[32:]


@functools.lru_cache(maxsize=None)
def public(seed):
    """Both in hexadecimal digits, as the Secrets have them."""
    return _bytes(_times(_expand(seed)[0], BASE)).hex()


def sign(seed, text):
    a, prefix = _expand(seed)
    r = _number(prefix, text) % ORDER
    big_r = _bytes(_times(r, BASE))
    k = _number(big_r, bytes.fromhex(public(seed)), text)
    return big_r + ((r + k * a) % ORDER).to_bytes(32, "little")


def signed(pub, sig, text):
    s = int.from_bytes(sig[32:], "little")
    k = _number(sig[:32], bytes.fromhex(pub), text) % ORDER
    return s < ORDER and _bytes(_times(s, BASE)) == _bytes(
        _add(_point(sig[:32]), _times(k, _point(bytes.fromhex(pub)))))


# --- a link

HEAD = 72       # signature and number


def _digest(payload):
    return hashlib.blake2b(payload, digest_size=32).digest()


class Link:
    """To a sidecar, which speaks first when our hello may be true."""

    def __init__(self, s, hello):
        self.s, self.buf, self.sent, self.got = s, b"", 0, 0
        s.sendall(hello)
        self.mine = _digest(hello[2 + HEAD:])
        theirs = self.receive()
        self.theirs = _digest(theirs[HEAD:]) if theirs else None

    def receive(self, seconds=5):
        """A frame; b"" when none came; None when the sidecar ended it all."""
        end = time.monotonic() + seconds
        self.s.settimeout(min(seconds, 0.5))
        while len(self.buf) < 2 or len(self.buf) < 2 + self._length():
            if time.monotonic() > end:
                return b""
            try:
                data = self.s.recv(65536)
            except socket.timeout:
                continue
            except OSError:
                return None
            if data == b"":
                return None
            self.buf += data
        n = 2 + self._length()
        out, self.buf = self.buf[2:n], self.buf[n:]
        return out

    def _length(self):
        return struct.unpack_from(">H", self.buf)[0]

    @staticmethod
    def _text(receiver, sender, numbered):
        return b"bloodraven-link-1\0" + receiver + sender + numbered

    def send(self, seed, *fields):
        self.sent += 1
        numbered = struct.pack(">Q", self.sent) + attack.pack(list(fields))
        self.s.sendall(attack.frame(self.sent, *fields, sig=sign(
            seed, self._text(self.theirs, self.mine, numbered))))

    def is_from(self, pub, frame):
        return signed(pub, frame[:64], self._text(
            self.mine, self.theirs, frame[64:]))


def statement(seed, *fields):
    """A w_signed."""
    body = attack.pack(list(fields))
    return [body, sign(seed, b"bloodraven-statement-1\0" + body)]


def _link(pod, g, site, who):
    s = pod.connect(g.address(site), fence.LINK_PORT)
    if s is None:
        raise Failure("no connection to the sidecar of " + site)
    uid = g.pod(who)["metadata"]["uid"] if who else ""
    link = Link(s, attack.hello(g, not who, who, uid))
    if link.theirs is None:
        s.close()
        raise Failure("the sidecar of %s did not answer a hello" % site)
    return link


# What proves an operator and a site, and asks for nothing.
def _proof(who):
    if who:
        return (attack.REPORT, 0, 0, 0, False, 0, -1, 0, True, False, [])
    return (attack.OPERATOR, False, "", b"")


def believed(pod, g, site, who, seed, pub):
    """Whether site's sidecar takes that seed for the key of who ("": of the
    operator). What it answers must be signed by pub, which is its own."""
    link = _link(pod, g, site, who)
    try:
        link.send(seed, *_proof(who))
        answer = link.receive()
    finally:
        link.s.close()
    if answer == b"":
        raise Failure("the sidecar of %s neither answers nor ends it" % site)
    if answer is not None and not link.is_from(pub, answer):
        raise Failure("the sidecar of %s signs with another key" % site)
    return answer is not None


def revokes(pod, g, site, link_seed, seed, epoch, seconds=4):
    """Whether site's sidecar takes a revocation that this seed signed, from
    who proves itself by a seed that is good. It would close the link at once;
    a link on which nothing is said is closed a little later."""
    link = _link(pod, g, site, "")
    end = time.monotonic() + seconds
    try:
        link.send(link_seed, *_proof(""))
        if not link.receive():
            raise Failure("the operator's key is not believed at " + site)
        link.send(link_seed, attack.REVOCATION,
                  [statement(seed, attack.REVOKE, g.fg, epoch)])
        while time.monotonic() < end:
            if link.receive(0.4) is None:
                return False
            link.send(link_seed, *_proof(""))
        return True
    except OSError:
        return False
    finally:
        link.s.close()
