"""The guard's two processes, mysqld, the sidecar and the disk fail, one after the
other and together; strangers attack. Fast profile; never two writers, but for the
documented exception."""
import os
import signal
import time

import attack
import bloodraven as op
import fence
import lab
from api import Failure, holds, wait
from oracle import PATIENT
from runner import test
from t_crash import finish


@test("hung", order=27)
def hung(t):
    """mysqld alone is stopped: its guard tells, fences and kills; the other site
    is promoted. Nobody has to delete a Pod."""
    g = t.ready()
    stopped = fence.Stopped(t, g, g.active())
    _, _, f = fence.survives(t, g, lambda: stopped.stop("mysqld"))
    t.fact(fence.described(f))


@test("frozen", full=True, order=28)
def frozen(t):
    """Guard and mysqld are stopped: silence, and so the lease's length. Let go
    one after the other, the guard first: it finds its deadline passed."""
    g = t.ready()
    c = []
    _, _, f = fence.survives(
        t, g, lambda: c.append(fence.StoppedContainer(
            t, g, g.active(), fence.GUARD)), lambda: c[0].go())
    t.fact(fence.described(f))


@test("frozen-cgroup", full=True, order=29)
def frozen_cgroup(t):
    """All of the container, at one moment, by its control group: thawed, mysqld
    runs for as long as the guard needs to look at its clock. What it answers
    in these milliseconds is reported as divergence."""
    g = t.ready()
    old = g.active()
    o = t.oracle(g)
    c = fence.StoppedContainer(t, g, old, fence.GUARD, freeze=True)
    new = fence.promoted(g, old)
    o.wait_acked(30)
    c.go()
    f = fence.judged(t, g, o, old, new, divergence_only=True)
    if f["overlappingWrites"] > 20:
        raise Failure("%d writes after the thaw: the guard did not look at its "
                      "clock at once" % f["overlappingWrites"])
    t.fact("%s; %d overlapping writes after the thaw, all reported"
           % (fence.described(f), f["overlappingWrites"]))


@test("keeper-stopped", order=30)
def keeper_stopped(t):
    """The killer does its part."""
    g = t.ready()
    old = g.active()
    server = g.server_pid(old)
    s = fence.Stopped(t, g, old)

    def fault():
        s.stop("keeper")
        wait("the killer ends mysqld", 15, lambda: lab.gone([server]))
    _, _, f = fence.survives(t, g, fault, s.go)
    t.fact(fence.described(f))


@test("killer-stopped", full=True, order=30)
def killer_stopped(t):
    """The keeper makes another one; a partition that comes at the same moment
    finds the keeper alone."""
    g = t.ready()
    s = fence.Stopped(t, g, g.active())
    cuts = fence.Cuts(t)

    old = g.active()

    def fault():
        cuts.site(g, old, "both", fence.far_nodes(g, old))
        s.stop("killer")
    _, _, f = fence.survives(t, g, fault, cuts.heal)
    t.fact(fence.described(f))


@test("killer-stopped-alone", full=True, order=31)
def killer_stopped_alone(t):
    """Stopped, then killed: the keeper makes another one, and no write stops."""
    g = t.ready()
    active = g.active()
    o = t.oracle(g)
    cid = g.container_id(active)
    for how in (signal.SIGSTOP, signal.SIGKILL):
        since, pid = lab.boot_ns(), lab.process(cid, "killer")
        os.kill(pid, how)
        wait("another killer", 10, lambda: lab.processes(
            cid, "killer") not in ([], [pid]))
        fence.not_promoted(g, active, fence.LEASE + 1)
        o.calm(since)
    o.stop()
    o.blame(o.judge(active))


@test("guard-killed", full=True, order=31)
def guard_killed(t):
    """Its death is mysqld's, by the kernel. Nothing is lost by a restart."""
    g = t.ready()
    active = g.active()
    o = t.oracle(g)
    server = g.server_pid(active)
    g.kill9(active)
    wait("mysqld ends with its guard", 5, lambda: lab.gone([server]),
         interval=0.005)
    o.wait_acked(60, "writes after the guard was killed")
    f = finish(t, g, o, active)
    if g.active() == active and f["ackedWritesLost"]:
        raise Failure("%d writes lost by a restart" % f["ackedWritesLost"])


@test("both-stopped", order=32)
def both_stopped(t):
    """The documented exception: keeper and killer stopped while mysqld runs on
    and its clients reach it. Two sites acknowledge; what the old one took is
    reported as divergence, to the last transaction."""
    g = t.ready()
    old = g.active()
    o = t.oracle(g)
    s = fence.Stopped(t, g, old)
    cuts = fence.Cuts(t)
    # Keeper first: it would make another killer; the killer's deadline is that
    # of the lease. They are stopped within what is left of that when the cut is
    # made: to make it takes longer, and an operator that still reached the
    # server when the lease was over would fence it by SQL.
    guard = s.find("keeper", "killer")
    cuts.site(g, old, "both", fence.far_nodes(g, old))
    s.stop_pids(guard)
    new = fence.promoted(g, old)
    o.wait_acked(30, "writes at the new site")
    since = lab.boot_ns()
    wait("the exception: the old site acknowledges, too", 20,
         lambda: o.site_acks(old, since) > 50)
    cuts.heal()
    s.go()
    f = fence.judged(t, g, o, old, new, divergence_only=True)
    if not f["overlappingWrites"]:
        raise Failure("the exception was not provoked: %s" % f)
    if f["oldSite"] != "blocked":
        raise Failure("%d writes of two histories, and the old site is %s"
                      % (f["overlappingWrites"], f["oldSite"]))
    t.fact("%d overlapping writes, %d lost, %d of them reported" % (
        f["overlappingWrites"], f["ackedWritesLost"], f["lostReported"]))


@test("server-killed", order=20)
def server_killed(t):
    """mysqld alone dies: its guard starts it again, without the kubelet."""
    g = t.ready()
    active = g.active()
    restarts = g.restarts(active)
    o = t.oracle(g)
    g.kill_server(active)
    o.wait_acked(60, "writes after the restart")
    f = finish(t, g, o, active)
    if g.active() == active:
        if f["ackedWritesLost"]:
            raise Failure("%d writes lost by a restart"
                          % f["ackedWritesLost"])
        if g.restarts(active) != restarts:
            raise Failure("the kubelet had to restart the container")


@test("server-restart", full=True, order=21)
def server_restart(t):
    """RESTART from a session: exit code 16, and read-only again at the start."""
    g = t.ready()
    active = g.active()
    restarts = g.restarts(active)
    o = t.oracle(g)
    pid = g.server_pid(active)
    try:
        g.sql(active, "RESTART")
    except Failure:
        pass    # the connection ends with the server
    wait("another server", 30, lambda: g.server_pid(active) != pid)
    o.wait_acked(60, "writes after RESTART")
    finish(t, g, o, active)
    if g.restarts(active) != restarts:
        raise Failure("the kubelet had to restart the container")


@test("server-held", full=True, order=22)
def server_held(t):
    """mysqld is killed each time it starts; the guard gives up, and its word of
    each end is a proof."""
    g = t.ready()
    old = g.active()
    pod = g.pod(old)["metadata"]["name"]
    t.finally_(lambda: lab.fault("release-server", g.ns, pod, check=False))

    def heal():
        lab.fault("release-server", g.ns, pod)
        fence.new_pod(g, old)
    _, _, f = fence.survives(
        t, g, lambda: lab.fault("hold-server", g.ns, pod), heal)
    t.fact(fence.described(f))


@test("no-sidecar", order=33)
def no_sidecar(t):
    """The active site's sidecar is gone for good: lost renewals, a fence, and
    writes go on at a site that has one."""
    g = t.ready()
    old = g.active()
    pod = g.pod_glob(old)
    t.finally_(lambda: lab.fault("release", g.ns, pod, fence.SIDECAR,
                                 check=False))

    def fault():
        lab.fault("kill9", "--hold=create", g.ns, pod, fence.SIDECAR)

    def heal():
        lab.fault("release", g.ns, pod, fence.SIDECAR)
        fence.new_pod(g, old)
    _, _, f = fence.survives(t, g, fault, heal)
    t.fact(fence.described(f))


@test("sidecar-looping", full=True, order=33)
def sidecar_looping(t):
    """One that starts and ends, again and again."""
    g = t.ready()
    old = g.active()
    pod = g.pod_glob(old)
    t.finally_(lambda: lab.fault("release", g.ns, pod, fence.SIDECAR,
                                 check=False))
    o = t.oracle(g)
    lab.fault("kill9", "--hold", g.ns, pod, fence.SIDECAR)
    holds("for a while", fence.LEASE + 3, lambda: True)
    o.wait_acked(40, "writes, at whichever site")
    lab.fault("release", g.ns, pod, fence.SIDECAR)
    fence.new_pod(g, old)
    finish(t, g, o, old)


@test("sidecar-stopped", full=True, order=33)
def sidecar_stopped(t):
    g = t.ready()
    c = []
    _, _, f = fence.survives(
        t, g, lambda: c.append(fence.StoppedContainer(
            t, g, g.active(), fence.SIDECAR)), lambda: c[0].go())
    t.fact(fence.described(f))


@test("disk-full", order=34, sites=4)
def disk_full(t):
    """A full data volume at the active site, which is then cut off; then one at
    the voter, whose promise is needed."""
    at_primary, at_voter = t.ready("full-primary", "full-voter",
                                   storage="lab-small")
    full_primary(t, at_primary)
    full_voter(t, at_voter)


def fill(t, g, site):
    t.finally_(lambda: lab.fault("unfill", g.ns, g.claim(site), check=False))
    t.log(lab.fault("fill", g.ns, g.claim(site)))


def full_primary(t, g):
    old = g.active()
    cuts = fence.Cuts(t)

    def fault():
        fill(t, g, old)
        cuts.site(g, old, "both", fence.far_nodes(g, old))

    def heal():
        lab.fault("unfill", g.ns, g.claim(old))
        cuts.heal()
    _, _, f = fence.survives(t, g, fault, heal)
    t.ok("full disk at the active site, cut off: " + fence.described(f))


def full_voter(t, g):
    old = g.active()
    other = g.other(old)
    cuts = fence.Cuts(t)
    tail = op.Tail(g.fg)

    n = g.restarts(other, fence.SIDECAR)

    def fault():
        fill(t, g, other)
        # A sidecar that starts on a full disk must read its promises, too.
        g.kill9(other, fence.SIDECAR)
        wait("the voter is back", 60, lambda: g.restarts(
            other, fence.SIDECAR) > n and g.container_id(
                other, fence.SIDECAR))
        fence.stays("the group with a full voter", g, old, 3)
        cuts.site(g, old, "both", fence.far_nodes(g, old))
        # The promise comes from the full disk; the promotion needs room.
        tail.wait("the lease's end", 30, "epoch ended")
        lab.fault("unfill", g.ns, g.claim(other))
    # MySQL's receiver looks for room once a minute, and does not stop before.
    _, _, f = fence.survives(t, g, fault, cuts.heal, seconds=200)
    t.ok("full disk at the voter: " + fence.described(f))


@test("attacker", alone=True, order=59)
def attacker(t):
    """A Pod in the cluster that spoofs, replays and floods: nothing changes.
    At the default settings, and alone: it also takes processor time from all
    others, who are on the same small machine here."""
    g = t.ready(fast=False)
    active = g.active()
    o = t.oracle(g, timeout=PATIENT)
    epoch = g.epoch()
    ips = [g.address(s) for s in g.sites]
    pod = attack.Pod(t, g.ns)
    frames = attack.capture(t, g, active)
    since = lab.boot_ns()
    for name, run in attack.ATTACKS:
        before = lab.boot_ns()
        seen = run(pod, g, ips, frames)
        t.log("%s: %s" % (name, seen))
        fence.stays(name, g, active, 1)
        try:
            gap = o.calm(before)
        except Failure as x:
            raise Failure("%s: %s" % (name, x)) from None
        t.ok("%s: %s; longest gap %.2f s" % (name, seen, gap))
    fence.not_promoted(g, active, fence.LEASE + 1, "after the attack")
    o.calm(since)
    fence.whole(g)
    if g.epoch() < epoch:
        raise Failure("the epoch went backwards")
    # It still works for those who may.
    o.stop()
    o.blame(o.judge(active))
    t0 = time.monotonic()
    t.hold(g, active)
    g.kill9(active)
    fence.promoted(g, active)
    t.fact("and fails over in %.1f s after it all" % (time.monotonic() - t0))
