"""demo.py : inside the lab, see regress/demo. Standard output is for a person;
its last line is for a program."""
import json
import os
import statistics
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(HERE, "lib")]

import api  # noqa: E402
import bloodraven as op  # noqa: E402
import failover as fo  # noqa: E402
import lab  # noqa: E402
from api import Failure  # noqa: E402
from group import Group  # noqa: E402
from oracle import Oracle  # noqa: E402

OUT = os.environ["LABTEST_OUT"]
T0 = time.monotonic() - float(os.environ.get("DEMO_ELAPSED", "0"))
TTY = sys.stdout.isatty()
BEFORE, AFTER = 4, 3      # seconds of writes shown before and after


def say(text=""):
    print("[%4d s] %s" % (time.monotonic() - T0, text), flush=True)


class Live:
    """The newest second of the writer through -primary, on one line."""

    def __init__(self, o):
        self.f = open(o.primary_file(), "rb")
        self.seen, self.tail, self.site = [], b"", {}
        self.shown = 0

    def read(self):
        data = self.tail + self.f.read()
        lines = data.split(b"\n")
        self.tail = lines.pop()
        for line in lines:
            w = line.split(b"\t")
            if len(w) == 7:
                self.seen.append((int(w[3]), (int(w[3]) - int(w[2])) / 1e6,
                                  w[0] == b"A", w[5].decode()))

    def show(self, names):
        self.read()
        now = lab.boot_ns()
        recent = [x for x in self.seen if x[0] > now - 10**9]
        acked = [x for x in recent if x[2]]
        if acked:
            text = "writes: %3d/s at site %s, median %.1f ms, longest %.1f ms" \
                % (len(acked), names.get(acked[-1][3], "?"),
                   statistics.median(x[1] for x in acked),
                   max(x[1] for x in acked))
        else:
            last = [x[0] for x in self.seen if x[2]]
            text = "writes: NONE for %.1f s (%d attempts refused or " \
                "unanswered in the last second)" % (
                    (now - last[-1]) / 1e9 if last else 0, len(recent))
        if TTY:
            sys.stdout.write("\r\033[K[%4d s]   %s"
                             % (time.monotonic() - T0, text))
            sys.stdout.flush()
        elif time.monotonic() - self.shown >= 1:
            self.shown = time.monotonic()
            say("  " + text)

    def watch(self, names, until, seconds):
        """Shows until until() is true, for at most that long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.show(names)
            if until():
                break
            time.sleep(0.2)
        if TTY:
            print(flush=True)


def names_of(g):
    return {g.sql(s, "SELECT @@server_uuid").strip(): s for s in g.sites}


QUIET = ("cont", "aux http", "group decision")
KEYS = ("site", "from", "to", "kind", "end", "epoch", "proof", "activeSite",
        "pod", "target", "count", "message", "error")


def timeline(g, killed_wall):
    say("What the operator's log says (kubectl logs -n %s ...), from the kill:"
        % op.NS)
    for t, r in op.timeline(g.fg, killed_wall):
        if r.get("msg") in QUIET or "fg" not in r or t > 60:
            continue
        more = " ".join("%s=%s" % (k, r[k]) for k in KEYS
                        if r.get(k) not in (None, ""))
        print("    %+7.3f s  %-34s %s" % (t, r["msg"], more[:110]),
              flush=True)


def run():
    say("the operator: crds/ and etc/bloodraven.yaml are applied")
    op.install()
    op.wait_leader(90)
    say("the operator leads; a MysqlFailoverGroup of two sites is applied")
    g = Group("demo", "orders", fast=False).create()
    said = ""
    end = time.monotonic() + 180 * api.SLOW
    while not (g.is_true("Ready") and g.active()):
        st = g.status()
        now = ", ".join("%s %s" % (s["name"], s.get("state"))
                        for s in st.get("sites") or []) or "no status yet"
        boot = g.condition("Bootstrapping")
        if boot.get("status") == "True":
            now += "; bootstrapping: " + boot["reason"]
        if now != said:
            say("  " + now)
            said = now
        if time.monotonic() > end:
            raise Failure("the group does not get Ready: " + g.short())
        time.sleep(0.2)
    active = g.active()
    say("Ready %.0f s after it was applied: site %s (%s) is the primary, %s "
        "(%s) its replica" % (time.monotonic() - g.created, active,
                              g.node(active), g.other(active),
                              g.node(g.other(active))))
    o = Oracle(g, os.path.join(OUT, "oracle"), lab.NODES[-1])
    try:
        return show(g, o, active)
    finally:
        o.kill()


def show(g, o, active):
    say("one client writes every 10 ms through Service %s-primary" % g.prefix)
    o.start()
    names, live = names_of(g), Live(o)
    live.watch(names, lambda: False, BEFORE)
    tail = op.Tail(g.fg)
    new = g.other(active)
    say("kill -9 of mysqld at site %s, which is then held down" % active)
    killed_wall = time.time_ns()
    killed = fo.kill_and_hold(g, active)
    live.watch(names, lambda: o.last_ack() > killed + 10**9 and
               g.active() == new, 90 * api.SLOW)
    if g.active() != new:
        raise Failure("no failover: " + g.short())
    live.watch(names, lambda: False, AFTER)
    decided = fo.decision_ns(tail)
    timeline(g, killed_wall)
    say("site %s is let up again" % active)
    f = fo.rejoin(g, o, active, new)
    say("site %s is %s" % (active, {
        "replicating": "a replica of %s" % new,
        "blocked": "fenced; what only it had is in the group's status",
    }[f["oldSite"]]))
    print()
    print("    writes stopped for        %.3f s" % f["writeGapSeconds"])
    if decided:
        print("    from the decision to the first write  %.3f s"
              % ((f["gapToNs"] - decided) / 1e9))
    print("    acknowledged writes       %d, of which lost %d (reported as "
          "divergent: %s)" % (f["acked"], f["ackedWritesLost"],
                              f["lostReported"]))
    print("    acknowledged by two sites at once  %d" % f["overlappingWrites"])
    print("    memory of all operator processes   %.1f MiB" % op.pss_mib())
    print("    primary now               site %s" % g.active())
    print(flush=True)
    return {"event": "demo", "writeGapSeconds": f["writeGapSeconds"],
            "ackedWritesLost": f["ackedWritesLost"],
            "activeSite": g.active()}, f["failures"]


def main():
    try:
        result, failures = run()
    except Exception as x:
        say("the demo failed: %s" % x)
        with open(os.path.join(OUT, "operator.log"), "w") as f:
            f.write("\n".join(op.log().new_lines()))
        for kind in ("mysqlfailovergroups", "pods", "events"):
            with open(os.path.join(OUT, kind + ".json"), "w") as f:
                json.dump(api.items(kind, "demo"), f, indent=1)
        say("what explains it is kept in " + OUT)
        return 1
    for x in failures:
        say("the oracle found: " + x)
    with open(os.path.join(OUT, "result.json"), "w") as f:
        json.dump(result, f, separators=(",", ":"))
    return 1 if failures else 0


sys.exit(main())
