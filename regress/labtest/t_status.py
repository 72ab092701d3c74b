"""The status API of both operators, over the network of Pods, during a failover."""
import json
import os
import socket
import sys
import threading
import urllib.error
import urllib.request

import bloodraven as op
import fence
import lab
from api import Failure, wait
from failover import rejoin
from runner import test

sys.path.append(os.path.join(lab.TOP, "regress/http"))
import wsclient                                             # noqa: E402

PORT = 8082


def get(address, path):
    """(status, JSON)"""
    try:
        with urllib.request.urlopen("http://%s:%d%s" % (address, PORT, path),
                                    timeout=10) as r:
            return r.status, json.loads(r.read().decode())
    except urllib.error.HTTPError as x:
        return x.code, json.loads(x.read().decode())
    except OSError as x:
        raise Failure("%s: %s" % (address, x)) from None


class Answering(wsclient.Client):
    """Answers pings: who does not is dropped after a minute."""

    def frame(self):
        fin, opcode, data = super().frame()
        if opcode == wsclient.PING:
            self.send(wsclient.PONG, data)
        return fin, opcode, data


def dial(address, rcvbuf=None, client=wsclient.Client):
    s = socket.socket()
    if rcvbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    s.settimeout(30)
    s.connect((address, PORT))
    return client(s)


class Hearer:
    """All that one operator's WebSocket says of a group."""

    def __init__(self, t, address, g):
        self.ws = dial(address, client=Answering)
        # Nothing is said while nothing changes.
        self.ws.s.settimeout(None)
        self.fg, self.said = (g.ns, g.name), []
        self.error = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        t.finally_(self.close)

    def run(self):
        try:
            while True:
                m = self.ws.message()
                if (m["namespace"], m["group"]) == self.fg:
                    self.said.append(m)
        except (wsclient.Ended, OSError) as x:
            self.error = x

    def close(self):
        try:
            self.ws.s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def hears(self, what, cond, seconds=60):
        def there():
            if self.error is not None:
                raise Failure("the WebSocket ended: %r" % self.error)
            return bool(self.said) and cond(self.said[-1])
        wait(what, seconds, there, lambda: self.said[-1:])


def states(m):
    return {s["name"]: s["state"] for s in m["sites"]}


@test("status-api", order=34)
def status_api(t):
    """Leader and standby say the same of a group, and which of them leads; a
    failover is heard through the WebSockets of both while others read nothing."""
    g = t.ready()
    key, q = g.fg, "/active-site?namespace=%s&group=%s" % (g.ns, g.name)
    active = g.active()
    other = g.other(active)
    leader = op.wait_leader()["status"]["podIP"]
    addresses = op.addresses()
    if leader not in addresses or len(addresses) != 2:
        raise Failure("operators: %s, leader %s" % (addresses, leader))
    for a in addresses:
        leads = a == leader
        wait("%s knows the active site" % a, 20, lambda: get(a, q) == (200, {
            "namespace": g.ns, "group": g.name, "activeSite": active,
            "leader": leads}), lambda: get(a, q))
        wait("%s knows the sites" % a, 20, lambda: states(
            get(a, "/status")[1][key]) == {active: "writable",
                                           other: "read-only"},
             lambda: get(a, "/status"))
        status, answer = get(a, q + "-unknown")
        if status != 404 or list(answer) != ["error"]:
            raise Failure("an unknown group: %s %s" % (status, answer))
    t.ok("leader and standby say the same, and who leads")

    hear = {a: Hearer(t, a, g) for a in addresses}
    for a, h in hear.items():
        h.hears("%s tells who leads" % a, lambda m: m["leader"] == (
            a == leader) and m["activeSite"] == active)
    lazy = [dial(leader, rcvbuf=2048) for _ in range(40)]
    o = t.oracle(g)
    t.hold(g, active)
    g.kill9(active)
    new = fence.promoted(g, active)
    o.wait_acked(30)
    for a, h in hear.items():
        h.hears("%s tells of the failover" % a, lambda m: m[
            "activeSite"] == new and states(m)[active] == "unreachable" and
            m.get("lastFailoverTarget") == new and m.get("alert"))
        wait("%s answers with it" % a, 20, lambda: get(a, q)[1].get(
            "activeSite") == new, lambda: get(a, q))
    t.ok("both WebSockets told of the failover")
    f = rejoin(g, o, active, new)
    for a, h in hear.items():
        h.hears("%s tells of the return" % a, lambda m: states(m) == {
            new: "writable", active: "read-only"} and not m.get("alert"))
    for ws in lazy:
        ws.s.close()
    t.fact(fence.described(f))
