"""The keys of the write lease are exchanged while the group is written to, with a
sidecar away and with the leader killed in between: no write is refused, no lease
lapses, and who has an old key is nobody any more."""
import base64
import collections
import time

import api
import attack
import bloodraven as op
import fence
import forge
import lab
import takeover
from api import Failure, holds, wait
from oracle import PATIENT
from runner import test

ROTATE = "bloodraven.shipstream.io/rotate-lease-keys"
OPERATOR = "bloodraven-lease-keys"
# Three times a kubelet, a sidecar and a guard read a Secret, and half a minute
# is waited each time: two to three minutes. Once is a third of that.
EXCHANGE, READ = 300, 100
# As long as the next key's turn would come at the latest, were nobody away.
AWAY = 55

Key = collections.namedtuple("Key", "seeds generation trust")


def key(ns, name):
    d = {k: base64.b64decode(v).decode() for k, v in api.get(
        "secrets", ns, name)["data"].items()}
    return Key(d["seed"].split(), int(d["generation"]),
               set(d.get("trust", "").splitlines()))


def secret(g, who):
    """(namespace, name); who "" is the operator."""
    return (g.ns, "%s-%s-lease" % (g.prefix, who)) if who else (
        op.NS, OPERATOR)


def keys(g):
    return {who: key(*secret(g, who)) for who in g.sites + [""]}


def line(who, seed):
    return ("site %s " % who if who else "operator ") + forge.public(seed)


def unlisted(g, k):
    """Whose signatures somebody would refuse, by the Secrets."""
    return ["%s does not list the key of %s" % (s, who or "the operator")
            for s in g.sites for who in k
            if line(who, k[who].seeds[0]) not in k[s].trust]


def has_two(k, who):
    return len(k[who].seeds) == 2


def signs(k, before, who):
    """The next one does, alone."""
    return len(k[who].seeds) == 1 and k[who].seeds != before[who].seeds


def exchanged(g, k, before, who):
    """And nobody believes another one."""
    only = {line(w, k[w].seeds[0]) for w in k}
    return all(signs(k, before, w) for w in who) and all(
        k[s].trust == only for s in g.sites)


def until(g, what, seconds, done):
    """The Secrets, once done(keys); there is no moment at which one of them
    lacks a key that signs."""
    gaps, seen = [], []

    def step():
        k = keys(g)
        gaps.extend(unlisted(g, k))
        seen[:] = [{w or "operator": len(k[w].seeds) for w in k}]
        return gaps or (done(k) and k)
    k = wait(what, seconds, step, lambda: (seen, g.short()), interval=0.2)
    if gaps:
        raise Failure("%s: %s" % (what, "; ".join(gaps)))
    return k


class Pods:
    """What the sidecars and guards of a group say from now on."""

    def __init__(self, g):
        self.g, self.seen = g, []
        self.logs = [(s, c, lab.PodLog(g.ns, g.pod_glob(s), c).skip())
                     for s in g.sites for c in (fence.SIDECAR, fence.GUARD)]

    def records(self):
        for s, c, log in self.logs:
            self.seen += [(s, c, r) for r in log.new_records()]
        return self.seen

    def generation(self, site, container):
        """Of the keys that it read last."""
        return max([r["generation"] for s, c, r in self.records()
                    if (s, c) == (site, container) and r.get("msg") in (
                        "keysRead", "keys of the write lease read")] or [0])

    def wait_read(self, k, sites=None):
        for s in sites or self.g.sites:
            for c in (fence.SIDECAR, fence.GUARD):
                wait("%s of %s reads generation %d" % (
                    c, s, k[s].generation), READ,
                     lambda: self.generation(s, c) >= k[s].generation,
                     lambda: self.generation(s, c))

    def bad(self):
        """A lapse, a fence, a signature that was not believed."""
        return [(s, c, r["msg"]) for s, c, r in self.records()
                if r.get("msg") in ("leaseLost", "revoked",
                                    "statementRefused") or
                r.get("msg", "").startswith("SELF-FENC") or
                (r.get("msg"), r.get("error")) == (
                    "link refused", "Permission denied")]


def of_us(g, tail):
    """Records of this group, and of the operator's own key."""
    tail.has()
    return [r for r in tail.seen if r.get("fg") in (None, "", g.fg)]


REFUSALS = ("guard statement refused", "lease key not written",
            "lease key Secret is not as we write it", "too many keys to list")


def undisturbed(g, o, pods, tail, active, since):
    gap = o.calm(since)
    if g.active() != active or g.events("FailoverExecuted"):
        raise Failure("it failed over: " + g.short())
    bad = pods.bad()
    if bad:
        raise Failure("said meanwhile: %s" % bad[:5])
    bad = [r for r in of_us(g, tail) if r.get("msg") in REFUSALS or
           (r.get("msg"), r.get("error")) == ("link refused",
                                              "bad signature")]
    if bad:
        raise Failure("the operator said: %s" % bad[:5])
    return gap


def steps(g, tail):
    """What the operators did with keys: {(whose, what)}."""
    return {(r["site"], r["key"]) for r in of_us(g, tail)
            if r.get("msg") == "lease key"}


def crash(t):
    """The leader; its successor leads, and both are there again."""
    t.log("another operator leads after %.1f s"
          % takeover.seconds(takeover.crash))
    op.wait_settled()


# --- who is believed

def control(g, pod, k):
    """Who has the keys is believed: what is refused later is not refused for
    another reason."""
    active = g.active()
    other = g.other(active)
    for s in g.sites:
        pub = forge.public(k[s].seeds[0])
        if not forge.believed(pod, g, s, "", k[""].seeds[0], pub):
            raise Failure("%s does not believe the operator's key" % s)
        if not forge.revokes(pod, g, s, k[""].seeds[0], k[""].seeds[0], 0):
            raise Failure("%s refuses the revocation of no epoch" % s)
    # Not the active one's: that would take the place of its own link.
    if not forge.believed(pod, g, active, other, k[other].seeds[0],
                          forge.public(k[active].seeds[0])):
        raise Failure("%s does not believe the key of %s" % (active, other))


def refused(g, pod, before, k):
    """Who has a former key is not, neither at a link nor in a statement."""
    n = 0
    for s in g.sites:
        pub = forge.public(k[s].seeds[0])
        for who in [""] + g.others(s):
            old = before[who].seeds[0]
            if old == k[who].seeds[0]:
                continue
            n += 1
            if forge.believed(pod, g, s, who, old, pub):
                raise Failure("%s believes a former key of %s" % (
                    s, who or "the operator"))
            if not who and forge.revokes(pod, g, s, k[""].seeds[0], old,
                                         g.epoch()):
                raise Failure("a former key revokes at " + s)
    return n


def refused_after(g, pod, before, k):
    control(g, pod, k)
    n = refused(g, pod, before, k)
    if {w: x.seeds for w, x in keys(g).items()} != {
            w: x.seeds for w, x in k.items()}:
        raise Failure("exchanged again, and nobody asked for it")
    return n


class Stage:
    """A group that is written to, all who say something, and a stranger."""

    def __init__(self, t):
        self.g = g = t.ready()
        fence.whole(g)
        self.active = g.active()
        self.pod = attack.Pod(t, g.ns)
        self.before = keys(g)
        if unlisted(g, self.before):
            raise Failure("; ".join(unlisted(g, self.before)))
        control(g, self.pod, self.before)
        self.o = t.oracle(g, timeout=PATIENT)
        self.pods, self.tail = Pods(g), op.Tail()
        self.since = lab.boot_ns()

    def undisturbed(self):
        return undisturbed(self.g, self.o, self.pods, self.tail, self.active,
                           self.since)

    def end(self, t):
        """And it still fails over."""
        g = self.g
        fence.whole(g)
        self.o.calm(self.since)
        self.o.stop()
        self.o.blame(self.o.judge(self.active))
        cuts = fence.Cuts(t)
        _, new, f = fence.survives(t, g, lambda: cuts.site(
            g, self.active, "both", fence.far_nodes(g, self.active)),
            cuts.heal)
        t.fact("then %s took over: %s" % (new, fence.described(f)))


def sidecar_away(t, st, first):
    """The voter's, since before it could read that there is a next key, for
    longer than that one would wait otherwise."""
    g = st.g
    site = g.other(st.active)
    n = g.restarts(site, fence.SIDECAR)
    t.finally_(g.release, site, fence.SIDECAR)
    g.hold(site, True, fence.SIDECAR)
    g.kill9(site, fence.SIDECAR)
    holds("the next key of %s waits for the sidecar of %s" % (first, site),
          AWAY, lambda: has_two(keys(g), first))
    g.release(site, fence.SIDECAR)
    # Its kubelet's pauses have become long meanwhile.
    wait("the sidecar is back", 200, lambda: g.restarts(
        site, fence.SIDECAR) > n and lab.container(
            g.pod(site), fence.SIDECAR).get("ready"), g.short)
    fence.whole(g)


def lost_secrets(t, st, k):
    """Deleted by somebody: made again with the same seeds."""
    g = st.g
    for who in (st.active, ""):
        ns, name = secret(g, who)
        api.delete("secrets", ns, name)
        wait("%s is made again" % name, 30, lambda: key(ns, name)
             .generation > k[who].generation and
             key(ns, name).seeds == k[who].seeds)
    now = until(g, "all are as before", 30, lambda n: all(
        n[w].seeds == k[w].seeds for w in n) and exchanged(g, n, st.before,
                                                           g.sites))
    st.pods.wait_read(now, [st.active])
    t.ok("two Secrets deleted: made again with the same seeds, longest gap "
         "%.2f s" % st.undisturbed())
    return now


@test("keys", alone=True, full=True, order=82)
def sites_keys(t):
    """The sites' keys, one after the other: the first with the voter's sidecar
    away, the second with the leader killed when there is a next key, and when
    that one has come to sign."""
    st = Stage(t)
    g = st.g
    t0 = time.monotonic()
    g.annotate("rotate-lease-keys", "labtest")
    k = until(g, "a site has a next key", 120,
              lambda k: any(has_two(k, s) for s in g.sites))
    first = [s for s in g.sites if has_two(k, s)][0]
    second = g.other(first)
    if has_two(k, second):
        raise Failure("two keys are exchanged at once")
    sidecar_away(t, st, first)
    until(g, "the next key of %s signs" % first, EXCHANGE,
          lambda k: signs(k, st.before, first))
    t.ok("a sidecar away: the next key waited, longest gap %.2f s"
         % st.undisturbed())
    until(g, "%s has a next key" % second, EXCHANGE,
          lambda k: has_two(k, second))
    crash(t)
    until(g, "the next key of %s signs" % second, EXCHANGE,
          lambda k: signs(k, st.before, second))
    crash(t)
    k = until(g, "both keys are exchanged", EXCHANGE,
              lambda k: exchanged(g, k, st.before, g.sites))
    took = time.monotonic() - t0
    st.pods.wait_read(k)
    if k[""].seeds != st.before[""].seeds:
        raise Failure("the operator's key was exchanged, too")
    done = steps(g, st.tail)
    for s in g.sites:
        if not {(s, "next one made"), (s, "next one signs")} <= done:
            raise Failure("the operators' log has of keys: %s" % done)
    gap = st.undisturbed()
    n = refused_after(g, st.pod, st.before, k)
    t.ok("keys of both sites after %.0f s, the leader killed twice, longest "
         "gap %.2f s; %d attempts with former keys refused" % (took, gap, n))
    st.pods, st.tail = Pods(g), op.Tail()   # the attempts are in the former
    lost_secrets(t, st, k)
    st.end(t)


@test("keys-operator", alone=True, full=True, order=83)
def operators_key(t):
    """The operators' key, which all groups believe: the leader is killed when
    there is a next one, and when that one has come to sign."""
    st = Stage(t)
    g = st.g
    t0 = time.monotonic()
    api.merge("secrets", op.NS, OPERATOR, {"metadata": {"annotations": {
        ROTATE: "labtest-%d" % time.time_ns()}}})
    until(g, "the operator has a next key", 60, lambda k: has_two(k, ""))
    crash(t)
    until(g, "the operator's next key signs", EXCHANGE,
          lambda k: signs(k, st.before, ""))
    crash(t)
    k = until(g, "it is exchanged", EXCHANGE,
              lambda k: exchanged(g, k, st.before, [""]))
    took = time.monotonic() - t0
    st.pods.wait_read(k)
    if any(k[s].seeds != st.before[s].seeds for s in g.sites):
        raise Failure("a site's key was exchanged, too")
    done = steps(g, st.tail)
    if not {("(operator)", "next one made"),
            ("(operator)", "next one signs")} <= done:
        raise Failure("the operators' log has of keys: %s" % done)
    gap = st.undisturbed()
    n = refused_after(g, st.pod, st.before, k)
    t.ok("the operators' key after %.0f s, the leader killed twice, longest "
         "gap %.2f s; %d attempts with the former key refused" % (
             took, gap, n))
    st.end(t)
