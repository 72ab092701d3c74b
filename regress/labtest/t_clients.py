"""Connections that a pool keeps open over a failover. A Service sends only new
ones to the new primary: what is open stays where it is until that end closes it."""
import os
import select
import subprocess

import api
import fence
import lab
from api import Failure, holds, wait
from runner import test

AT = "SELECT @@hostname;\n"
# After the cut has healed: seen, evicted at the next poll, with room for a busy
# machine.
GONE = 40


class Session:
    """One connection of the application's, used now and then, never renewed."""

    def __init__(self, t, g, host, node=None):
        self.p = subprocess.Popen(
            lab.on_node(node or lab.NODES[-1], g.client(host, g.app_user) +
                        ["-n", "--skip-reconnect"]),
            env=dict(os.environ, MYSQL_PWD=g.app_password),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, bufsize=0)
        t.finally_(self.end)
        self.first = self.at()

    def at(self, seconds=20):
        """The server's name; None: the connection is gone."""
        try:
            self.p.stdin.write(AT.encode())
        except BrokenPipeError:
            return None
        if not select.select([self.p.stdout], [], [], seconds * api.SLOW)[0]:
            raise Failure("a session hangs")
        return self.p.stdout.readline().decode().strip() or None

    def error(self):
        self.p.stdin.close()
        return self.p.stderr.read().decode().strip()

    def end(self):
        self.p.kill()
        self.p.wait()


def session(t, g, host, node=None):
    """Endpoints of a group that was just made come a moment later."""
    def one():
        s = Session(t, g, host, node)
        return s if s.first else t.log(s.error())
    return wait("a session at " + host, 20, one, g.short)


def by_service(t, g, which):
    return session(t, g, api.get("services", g.ns, g.prefix + which)[
        "spec"]["clusterIP"])


def stays(s, seconds, what):
    holds(what, seconds, lambda: s.at() == s.first)


@test("clients", order=47)
def clients(t):
    """A primary that loses its lease and lives on: those of its clients whose
    connections were open are sent away when it is seen again, each connects
    anew, to the new primary. Nobody who reads at a replica loses a connection:
    not by that replica's promotion, not at the old site once nobody is left of those
    that had to go."""
    g = t.ready()
    old = g.active()
    new = g.other(old)
    pooled = [by_service(t, g, "-primary") for _ in range(3)]
    reader = by_service(t, g, "-replicas")
    was = pooled[0].first
    if {s.first for s in pooled} != {was} or reader.first == was:
        raise Failure("-primary and -replicas lead to %s and %s" % (
            [s.first for s in pooled], reader.first))
    o = t.oracle(g)
    cuts = fence.Cuts(t)
    cuts.site(g, old, "both", fence.partners(g, old))
    fence.promoted(g, old)
    o.wait_acked(30, "writes at the new site")
    # Nobody reaches that server but they: the fence, not the network, holds.
    if [s.at() for s in pooled] != [was] * 3:
        raise Failure("the old site's clients were cut off, too")
    cuts.heal()
    wait("the pool's connections are closed", GONE,
         lambda: all(s.at() is None for s in pooled), g.short)
    t.fact("closed with: %s" % pooled[0].error()[:80])
    again = by_service(t, g, "-primary")
    if again.first != reader.first:
        raise Failure("connected anew, to %s" % again.first)
    f = fence.judged(t, g, o, old, new)
    # Whoever connects there while clients are being sent away is one of them.
    holds("no client at the old site", 4, lambda: True)
    late = session(t, g, g.address(old), g.node(old))
    stays(late, 5, "a reader of the old site stays")
    if reader.at() != reader.first or again.at() != again.first:
        raise Failure("the new primary closed a connection")
    t.fact("gap %.2f s" % f["writeGapSeconds"])
