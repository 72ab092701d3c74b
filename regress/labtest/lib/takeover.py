"""The leading operator ends; how long until the other one leads. Shared by tests
and the bench."""
import os
import signal

import api
import bloodraven as op
import lab
from api import Failure, wait


def clean():
    """Asked to end, as by a drain or an update. Returns its Pod."""
    p = op.wait_leader()
    api.delete("pods", op.NS, p["metadata"]["name"])
    return p


def crash():
    """All of its processes at once."""
    p = op.wait_leader()
    lab.kill9(op.container_id(p))
    return p


class Watch:
    """Records "became leader" from now on."""

    def __init__(self):
        self.log = op.log().skip()
        self.times = []

    def first(self):
        self.times += [lab.wall_to_boot(lab.parse_time(r["time"]))
                       for r in self.log.new_records()
                       if r.get("msg") == "became leader"]
        return self.times[0] if self.times else None


def seconds(fault):
    """From the fault until the other operator said that it leads."""
    op.wait_settled()
    if len(op.pods()) < 2:
        raise Failure("one operator: " + op.state())
    watch = Watch()
    t0 = lab.boot_ns()
    fault()
    t = wait("an operator leads", 60, watch.first, op.state, interval=0.02)
    return (t - t0) / 1e9


def with_primary(g, old):
    """The leader, and the primary's guard with its mysqld. Returns when (boot
    ns)."""
    leader = lab.pids_of(op.container_id(op.wait_leader()))[0]
    guard = lab.pids_of(g.container_id(old))[0]
    t = lab.boot_ns()
    for pid in (guard, leader):
        os.kill(pid, signal.SIGKILL)
    return t
