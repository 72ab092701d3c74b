"""Metrics as users see them: a real Prometheus scrapes both operators while a
group fails over."""
import os
import signal

import bloodraven as op
import fence
import lab
import prom
from api import Failure, wait
from failover import up_again
from runner import Skip, test

STEPS = ("write record", "grant")


def worker(container_id, title):
    """The process of the operator that has this title."""
    for pid in lab.pids_of(container_id):
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                words = f.read().split(b"\0")[0].decode().split()
        except OSError:
            continue
        if title in [w.strip(":") for w in words]:
            return pid
    raise Failure("no worker %s in %s" % (title, container_id))


@test("metrics", alone=True, order=75)
def metrics(t):
    """One failover: its counter, its histograms, who is active, and the alerts
    that the manual has."""
    if not prom.TREE:
        raise Skip("no tree with prometheus")
    g = t.ready()
    p = prom.Prometheus(t)
    group = 'namespace="%s",group="%s"' % (g.ns, g.name)

    def m(name, more=""):
        return "bloodraven_%s{%s%s}" % (name, group, more and "," + more)

    def of_leader(name, more=""):
        return "sum(%s and on (instance) bloodraven_leader == 1)" % m(
            name, more)

    active = g.active()
    other = g.other(active)
    p.wait('count(up{job="bloodraven"} == 1)', 2)
    p.wait("sum(bloodraven_leader)", 1)
    p.wait("count(bloodraven_build_info)", 2)
    # As the reference's dashboards count: over all series.
    p.wait("sum(%s)" % m("site_state", 'state="writable",site="%s"' % active), 1)
    p.wait("count(%s == 1)" % m("site_state", 'state="writable"'), 1)
    # Both are warm: the standby probes as well.
    p.wait("count(count by (instance) (%s > 3))" % m(
        "poll_latency_seconds_count"), 2)
    p.wait("sum(%s)" % m("link_up"), 4)
    p.wait(of_leader("lease_left_seconds", 'site="%s"' % active),
           lambda v: v > 0)
    p.wait("sum(%s)" % m("replication_running", 'site="%s"' % other), 2)
    # There from the beginning: an alert sees the first failover.
    for site in (active, other):
        p.wait("sum(%s)" % m("failovers_total", 'target_site="%s"' % site), 0)
    p.wait("max by (namespace, group) (%s) == 0" % m("promotion_blocked"), 0)
    t.log("before the failover")

    # What the replica has not yet received would be a divergence.
    t.oracle(g).stop()
    wait("the replica has it all", 30, g.caught_up)
    t.hold(g, active)
    g.kill9(active)
    new = fence.promoted(g, active)
    o = t.oracle(g)
    p.wait("sum(%s)" % m("failovers_total", 'target_site="%s"' % new), 1)
    p.wait("sum(%s)" % m("failovers_total"), 1)
    p.wait("increase(%s[2m]) > 0" % m(
        "failovers_total", 'target_site="%s"' % new), lambda v: v > 0)
    p.wait("sum(%s)" % m("site_state", 'state="writable",site="%s"' % new), 1)
    p.wait("count(%s == 1)" % m("site_state", 'state="writable"'), 1)
    p.wait("sum(%s)" % m("site_state", 'state="unreachable",site="%s"' % active),
           1)
    p.wait("sum(%s)" % m("failover_duration_seconds_count"), 1)
    took = p.wait("sum(%s)" % m("failover_duration_seconds_sum"),
                  lambda v: 0 < v < 120)
    p.wait("sum(%s)" % m("failover_duration_seconds_bucket", 'le="+Inf"'), 1)
    p.wait("sum(%s)" % m("proof_wait_seconds_count"), lambda v: v >= 1)
    for step in STEPS:
        p.wait("sum(%s)" % m("failover_step_duration_seconds_count",
                             'step="%s"' % step), lambda v: v >= 1)
    p.wait("sum(%s)" % m("state_transitions_total",
                         'site="%s",from="writable",to="unreachable"' % active),
           lambda v: v >= 1)
    p.wait("sum(%s)" % m("dns_flips_total", 'site="%s"' % new),
           lambda v: v >= 1)
    p.wait("sum(%s)" % m("epoch"), lambda v: v == g.epoch())
    # Nobody is a follower just now.
    wait("no series of a follower", 20,
         lambda: not p.query(m("replication_lag_seconds")))
    t.log("after the failover")

    up_again(g, active)
    o.stop()
    p.wait("sum(%s)" % m("replication_running", 'site="%s"' % active), 2, 60)
    p.wait("sum(%s)" % m("replication_source_state",
                         'site="%s",state="converged"' % active), 1)
    p.wait("sum(%s)" % m("divergent_transactions"), lambda v: v >= 0)

    cid = op.container_id(op.wait_leader())
    os.kill(worker(cid, "dns-writer"), signal.SIGKILL)
    p.wait('sum(bloodraven_worker_restarts_total{worker="dns-writer"})',
           lambda v: v >= 1, 60)
    p.wait("sum(bloodraven_sandbox_violations_total)", 0)
    # As the kernel tells a worker that its sandbox forbids a call.
    os.kill(wait("dns-writer is back", 20,
                 lambda: worker(cid, "dns-writer")), signal.SIGSYS)
    p.wait('sum(bloodraven_sandbox_violations_total{worker="dns-writer"})', 1,
           60)
    p.wait("sum(bloodraven_sandbox_violations_total)", 1)
    p.wait("sum(bloodraven_metric_changes_dropped_total) or vector(0)", 0)
    for a in op.addresses():
        said = prom.promtool(prom.fetch(a))
        if said:
            raise Failure("promtool about %s: %s" % (a, said))
    t.fact("failover of %.2f s as the histogram has it" % took)
