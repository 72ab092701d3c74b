"""A stranger in the cluster, at the ports of the write lease: it sends rubbish,
says that it is somebody else, plays back what it recorded, and floods."""
import ctypes
import os
import re
import select
import socket
import struct
import threading
import time

import api
import bloodraven as op
import fence
import lab
from api import Failure, wait

CLONE_NEWNET = 0x40000000


def _types(*names):
    """Their numbers: the place of each in the declaration."""
    with open(os.path.join(lab.TOP, "src/wire.def")) as f:
        all_ = re.findall(r"(?m)^WIRE\(W_(\w+),", f.read())
    return [all_.index(n) + 1 for n in names]


(REVOKE, HELLO, OPERATOR, OFFER, REVOCATION, PROMISE_ASK, ASK, YES,
 REPORT) = _types("REVOKE", "HELLO", "OPERATOR", "OFFER", "REVOCATION",
                  "PROMISE_ASK", "ASK", "YES", "REPORT")
_libc = ctypes.CDLL(None, use_errno=True)


def in_network(pid, f, *args):
    """f's value, run by a thread in the process's network: a socket that it
    makes belongs there."""
    out = []

    def work():
        try:
            fd = os.open("/proc/%d/ns/net" % pid, os.O_RDONLY)
            if _libc.setns(fd, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            os.close(fd)
            out.append((f(*args), None))
        except Exception as x:
            out.append((None, x))
    th = threading.Thread(target=work)
    th.start()
    th.join()
    value, error = out[0]
    if error:
        raise error
    return value


class Pod:
    """A busybox Pod of the group's namespace; what it does is done here, in its
    network."""

    def __init__(self, t, ns):
        name = "attacker"
        api.create("pods", ns, {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 1,
                     "nodeSelector": {
                         "kubernetes.io/hostname": lab.NODES[-1]},
                     "containers": [{
                         "name": name, "image": "busybox:lab",
                         "imagePullPolicy": "Never",
                         "command": ["sleep", "3600"]}]}})
        t.finally_(api.delete, "pods", ns, name, 1)

        def running():
            p = api.get("pods", ns, name)
            c = lab.container(p, name)
            return "running" in c.get("state", {}) and c["containerID"]
        self.pid = lab.pids_of(wait("the attacker's Pod", 60, running))[0]

    def connect(self, ip, port, timeout=2):
        """None: refused, or no answer."""
        def work():
            s = socket.socket()
            s.settimeout(timeout)
            s.connect((ip, port))
            return s
        try:
            return in_network(self.pid, work)
        except OSError:
            return None

    def many(self, ip, port, n):
        """Connections that have only begun."""
        def work():
            out = []
            for _ in range(n):
                s = socket.socket()
                s.setblocking(False)
                s.connect_ex((ip, port))
                out.append(s)
            return out
        return in_network(self.pid, work)


# --- what a frame looks like

def pack(v):
    """MessagePack, as far as it is needed here."""
    if v is True or v is False:
        return b"\xc3" if v else b"\xc2"
    if isinstance(v, int):
        if v < 0:
            return b"\xd3" + struct.pack(">q", v)
        if v < 128:
            return bytes([v])
        return b"\xcf" + struct.pack(">Q", v)
    if isinstance(v, str):
        b = v.encode()
        return (bytes([0xa0 | len(b)]) if len(b) < 32
                else b"\xd9" + bytes([len(b)])) + b
    if isinstance(v, bytes):
        return b"\xc5" + struct.pack(">H", len(v)) + v
    return bytes([0x90 | len(v)]) + b"".join(pack(x) for x in v)


def frame(number, *fields, sig=b"\0" * 64):
    body = sig + struct.pack(">Q", number) + pack(list(fields))
    return struct.pack(">H", len(body)) + body


def hello(g, operator, site="", uid=""):
    return frame(0, HELLO, 1, operator, g.fg, site, uid,
                 1 if operator else 0x1234567890abcdef, os.urandom(16))


def closed(s, seconds=20):
    """Whether the peer ends the connection; what it said is thrown away."""
    end = time.monotonic() + seconds
    s.settimeout(0.2)
    try:
        while time.monotonic() < end:
            try:
                if s.recv(65536) == b"":
                    return True
            except socket.timeout:
                pass
    except OSError:
        return True
    finally:
        s.close()
    return False


def say(pod, ip, *data):
    """Sends; True when the sidecar then closes the connection."""
    s = pod.connect(ip, fence.LINK_PORT)
    if s is None:
        return True
    try:
        for d in data:
            s.sendall(d)
    except OSError:
        pass
    return closed(s)


def all_closed(what, results):
    if not all(results):
        raise Failure("%s: %d of %d connections were left open" % (
            what, results.count(False), len(results)))
    return "%d connections, all closed by the sidecars" % len(results)


# --- the attacks

def rubbish(pod, g, ips, _):
    texts = (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 4096, b"\0\0" * 64,
             struct.pack(">H", 72) + os.urandom(72),
             struct.pack(">H", 8192) + os.urandom(8192),
             frame(0, *([[]] * 15)), frame(0, 99, 1))
    return all_closed("rubbish", [
        say(pod, ip, x) for ip in ips for x in texts])


def spoof(pod, g, ips, _):
    """As the operator, and as each site, with all that either may say."""
    huge = 1 << 60
    junk = [os.urandom(200), os.urandom(64)]
    said = ([REVOCATION, [junk]], [PROMISE_ASK, huge],
            [OFFER, [junk], []],
            [ASK, huge, 7, 1, 7, [junk]], [YES, 1, [junk]],
            [REPORT, 1, huge, huge, True, huge, 0, 1, True, True, [junk]])
    who = [(True, "", "")] + [
        (False, s, g.pod(s)["metadata"]["uid"]) for s in g.sites]
    out = []
    for ip in ips:
        for operator, site, uid in who:
            for fields in said:
                out.append(say(pod, ip, hello(g, operator, site, uid),
                               frame(1, *fields, sig=os.urandom(64))))
    return all_closed("spoofed", out)


def replay(pod, g, ips, streams):
    """Whole conversations, from their first byte, and their parts."""
    out = []
    for data in streams:
        for ip in ips:
            out.append(say(pod, ip, data))
            out.append(say(pod, ip, data[2 + struct.unpack(
                ">H", data[:2])[0]:]))
    return "%d conversations; %s" % (len(streams), all_closed("replay", out))


def flood(pod, g, ips, _, port=fence.LINK_PORT, n=150, seconds=8):
    """Many connections, some of them speaking, and new ones for those that the
    sidecars end. Not so many that this machine has no time for anything else:
    it is the attacked one, too."""
    end, made = time.monotonic() + seconds, 0
    open_ = []
    begin = b"GET /status HTTP/1.1\r\nHost: x\r\n" if port == fence.HTTP_PORT \
        else hello(g, True)
    while time.monotonic() < end:
        for ip in ips:
            open_ += pod.many(ip, port, min(30, max(
                0, n - len(open_) // len(ips))))
        made = max(made, len(open_))
        _, w, _ = select.select([], [s for s in open_ if s.fileno() < 1000],
                                [], 0.05)
        time.sleep(0.05)    # the attack's pace
        for s in w[:50]:
            try:
                s.send(begin)
            except OSError:
                pass
        dead = [s for s in open_ if gone(s)]
        for s in dead:
            s.close()
        open_ = [s for s in open_ if s not in set(dead)]
    for s in open_:
        s.close()
    return "%d connections at a time for %d s" % (made, seconds)


def gone(s):
    try:
        return s.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def flood_http(pod, g, ips, frames):
    return flood(pod, g, ips, frames, fence.HTTP_PORT)


ATTACKS = (("rubbish", rubbish), ("spoofed identities", spoof),
           ("replayed conversations", replay), ("flood of 8090", flood),
           ("flood of 8080", flood_http))


# --- what was said before, from its first byte

def sniffer(pid):
    def work():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                          socket.htons(3))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        s.settimeout(0.5)
        return s
    return in_network(pid, work)


def segment(packet):
    """(connection, sequence number, SYN, payload) of TCP to the link's port."""
    if len(packet) < 54 or packet[12:14] != b"\x08\0" or packet[23] != 6:
        return None
    ip = packet[14:]
    head = (ip[0] & 15) * 4
    tcp = ip[head:struct.unpack_from(">H", ip, 2)[0]]
    sport, dport, seq = struct.unpack_from(">HHI", tcp)
    if dport != fence.LINK_PORT:
        return None
    return ((ip[12:20], sport), seq, bool(tcp[13] & 2),
            tcp[(tcp[12] >> 4) * 4:])


class Recorder:
    def __init__(self):
        self.next, self.data = {}, {}

    def add(self, packet):
        x = segment(packet)
        if x is None:
            return
        conn, seq, syn, payload = x
        if syn:
            self.next[conn], self.data[conn] = seq + 1 & 0xffffffff, b""
        elif self.next.get(conn) == seq and payload:
            self.data[conn] += payload
            self.next[conn] = seq + len(payload) & 0xffffffff

    def streams(self):
        return [d for d in self.data.values() if len(d) > 300]


def capture(t, g, active):
    """The leader's and the active sidecar's words to a sidecar that has just
    restarted."""
    other = g.other(active)
    pids = [lab.pids_of(op.container_id(op.wait_leader()))[0],
            lab.pids_of(g.container_id(active, fence.SIDECAR))[0]]
    sniffers = [sniffer(p) for p in pids]
    g.kill9(other, fence.SIDECAR)
    recorders = [Recorder() for _ in sniffers]
    begun = time.monotonic()
    while time.monotonic() < begun + 60:
        for s in select.select(sniffers, [], [], 0.2)[0]:
            recorders[sniffers.index(s)].add(s.recv(1 << 16))
        # The operator's suffice when a sidecar that is back has had its time.
        spent = time.monotonic() - begun
        if recorders[0].streams() and (
                spent > 20 or spent > 6 and recorders[1].streams()):
            break
    for s in sniffers:
        s.close()
    streams = [d for r in recorders for d in r.streams()]
    if not recorders[0].streams():
        raise Failure("nothing of the operator's was recorded")
    t.log("recorded %s bytes" % [len(d) for d in streams])
    return streams
