"""delay.py QUEUE MILLISECONDS : holds each packet of netfilter's queue back for
that long, in order. What netem would do, where the kernel has none."""
import collections
import select
import socket
import struct
import sys
import time

NETLINK_NETFILTER, QUEUE_SUBSYS = 12, 3
PACKET, VERDICT, CONFIG = 0, 1, 2
CFG_CMD, CFG_PARAMS, CFG_MAXLEN = 1, 2, 3
BIND, COPY_META, ACCEPT = 1, 1, 1
PACKET_HDR, VERDICT_HDR = 1, 2
REQUEST = 1


def attribute(kind, data):
    pad = b"\0" * (-len(data) % 4)
    return struct.pack("=HH", 4 + len(data), kind) + data + pad


def message(kind, queue, attrs):
    body = struct.pack("!BBH", 0, 0, queue) + attrs
    return struct.pack("=IHHII", 16 + len(body), QUEUE_SUBSYS << 8 | kind,
                       REQUEST, 0, 0) + body


def packet_ids(data):
    """Of all messages in what one read returned."""
    while len(data) >= 16:
        size, kind = struct.unpack_from("=IH", data)
        if kind == QUEUE_SUBSYS << 8 | PACKET:
            at = 20
            while at + 4 <= size:
                n, what = struct.unpack_from("=HH", data, at)
                if what & 0x7fff == PACKET_HDR:
                    yield struct.unpack_from("!I", data, at + 4)[0]
                at += (n + 3) & ~3
        data = data[(size + 3) & ~3:]


def main(queue, delay):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind((0, 0))
    for attrs in (attribute(CFG_CMD, struct.pack("!BBH", BIND, 0, 0)),
                  attribute(CFG_PARAMS, struct.pack("!IB", 0, COPY_META)),
                  attribute(CFG_MAXLEN, struct.pack("!I", 100000))):
        s.send(message(CONFIG, queue, attrs))
    waiting = collections.deque()
    while True:
        left = waiting[0][0] - time.monotonic() if waiting else 3600
        if left > 0 and select.select([s], [], [], left)[0]:
            try:
                data = s.recv(1 << 16)
            except OSError:     # more than the buffer took: those are lost
                continue
            due = time.monotonic() + delay
            waiting.extend((due, i) for i in packet_ids(data))
        while waiting and waiting[0][0] <= time.monotonic():
            s.send(message(VERDICT, queue, attribute(
                VERDICT_HDR, struct.pack("!II", ACCEPT,
                                         waiting.popleft()[1]))))


main(int(sys.argv[1]), int(sys.argv[2]) / 1000)
