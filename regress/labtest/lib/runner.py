"""Registers tests, runs them side by side or alone, reports one line each, keeps
what explains a failure."""
import glob
import json
import os
import shutil
import sys
import threading
import time
import traceback

import api
import lab
import bloodraven as op
from api import ApiError, Failure, Unreachable
from group import Group
from oracle import PACE, Oracle

OUT = os.environ.get("LABTEST_OUT", "/var/tmp/bloodraven-labtest")
JOBS = int(os.environ.get("LABTEST_JOBS", "3"))
# A lab that is kept may hold what an earlier run left when it was killed.
RUN = "%x" % (os.getpid() & 0xffff)
TESTS = []
_print = threading.Lock()
_start = time.monotonic()


class Skip(Exception):
    pass


def say(line):
    with _print:
        print(line, flush=True)


def progress(text):
    with _print:
        print("[%4d s] %s" % (time.monotonic() - _start, text),
              file=sys.stderr, flush=True)


def test(name, alone=False, full=False, order=50, sites=2):
    """alone: breaks things that are shared (nodes, API server, operator);
    full: only when asked for by name, or for everything; sites: how many it
    runs at a time, each a server that works and starts beside the others."""
    def wrap(f):
        TESTS.append({"name": name, "run": f, "alone": alone, "full": full,
                      "order": order, "sites": sites})
        return f
    return wrap


class T:
    """What a test works with; everything it makes is its own."""

    def __init__(self, name):
        self.name = name
        self.dir = os.path.join(OUT, name)
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self.groups, self.oracles, self.undo = [], [], []
        self.facts = []
        self.t0 = time.monotonic()
        self.wall0 = time.time_ns()

    def log(self, text):
        with open(os.path.join(self.dir, "test.log"), "a") as f:
            f.write("%s %8.2f %s\n" % (
                time.strftime("%H:%M:%S", time.gmtime()),
                time.monotonic() - self.t0, text))

    def fact(self, text):
        """Said beside the result."""
        self.log(text)
        self.facts.append(text)

    def ok(self, what):
        say("ok - %s: %s" % (self.name, what))

    def group(self, name=None, made=True, **kw):
        """made=False: its servers run mysqld --initialize themselves."""
        name = name or self.name
        g = Group("lab-%s-%s" % (name, RUN), name, made=made, **kw)
        self.groups.append(g)
        g.create()
        self.log("group %s created" % g.fg)
        return g

    def ready(self, *names, **kw):
        """New groups, all Ready."""
        gs = [self.group(n, **kw) for n in names or [None]]
        for g in gs:
            g.wait_ready()
            self.log("group %s ready after %.1f s"
                     % (g.name, time.monotonic() - g.created))
        return gs if len(gs) > 1 else gs[0]

    def oracle(self, g, node=None, **kw):
        o = Oracle(g, os.path.join(self.dir, "oracle-%s-%d" % (
            g.name, len(self.oracles))), node or lab.NODES[-1], PACE)
        self.oracles.append(o)
        o.start(**kw)
        self.log("oracle of %s writes" % g.name)
        return o

    def finally_(self, f, *args):
        self.undo.append((f, args))

    def hold(self, g, site, create=False):
        self.finally_(g.release, site)
        g.hold(site, create)

    def cleanup(self):
        for o in self.oracles:
            o.kill()
        for f, args in reversed(self.undo):
            try:
                f(*args)
            except Exception as x:
                self.log("cleanup: %s" % x)

    # --- when it failed

    def _dump(self, name, f):
        try:
            data = f()
        except Exception as x:
            data = str(x)
        with open(os.path.join(self.dir, name), "w") as fp:
            if isinstance(data, str):
                fp.write(data)
            else:
                json.dump(data, fp, indent=1)

    def artifacts(self):
        for g in self.groups:
            for kind in ("mysqlfailovergroups", "pods", "events", "services",
                         "endpoints", "deployments", "configmaps",
                         "dnsendpoints", "persistentvolumeclaims"):
                self._dump("%s-%s.json" % (g.name, kind),
                           lambda k=kind, n=g.ns: api.items(k, n))
            for f in glob.glob("%s/nodes/*/upper/var/log/pods/%s_*/*/*.log*"
                               % (lab.K8S, g.ns)):
                p = f.split("/")
                self._dump("%s-%s-%s" % (p[-3].split("_")[1], p[-2], p[-1]),
                           lambda f=f: open(f, errors="replace").read()
                           [-400000:])
        self._dump("operator.log",
                   lambda: "\n".join(op.log().new_lines()) + "\n")
        self._dump("operator-pods.json", lambda: api.items("pods", op.NS))
        self._dump("leases.json", lambda: api.items("leases", op.NS))
        self._dump("nodes.json", lambda: api.items("nodes"))


def _one(entry):
    t = T(entry["name"])
    progress(entry["name"] + " begins")
    ok = False
    try:
        entry["run"](t)
        ok = True
        line = "ok - " + t.name
    except Skip as x:
        ok = True
        line = "skip - %s: %s" % (t.name, x)
    except (Failure, ApiError, Unreachable) as x:
        line = "not ok - %s: %s" % (t.name, str(x).replace("\n", " "))
        t.log(traceback.format_exc())
    except Exception as x:
        line = "not ok - %s: %s: %s" % (t.name, type(x).__name__, x)
        t.log(traceback.format_exc())
    try:
        if not ok:
            t.artifacts()
            line += " (see %s)" % t.dir
        t.cleanup()
        _reap(t)
    except Exception as x:      # its result is told all the same
        line = "not ok - %s: cleaning up: %s: %s" % (
            t.name, type(x).__name__, x) if ok else line
        ok = False
        t.log(traceback.format_exc())
    facts = "; ".join(t.facts)
    say("%s (%.0f s)%s" % (line, time.monotonic() - t.t0,
                           " # " + facts if facts else ""))
    return ok


def _strip(kind, ns, name):
    try:
        api.merge(kind, ns, name, {"metadata": {"finalizers": None}})
    except (ApiError, Unreachable):
        pass


def _gone(g):
    return api.get("mysqlfailovergroups", g.ns, g.name, missing=True) is None


def _reap(t):
    """The memory of its servers, for those that come after. What is left when
    an operator does not do its part goes all the same."""
    for g in t.groups:
        threading.Thread(target=_reap_group, args=(t, g), daemon=True).start()


def _reap_group(t, g):
    try:
        api.delete("mysqlfailovergroups", g.ns, g.name)
        try:
            api.wait("gone", 45, lambda: _gone(g), interval=1)
        except Failure:
            t.log("%s had to be removed by force" % g.fg)
            _strip("mysqlfailovergroups", g.ns, g.name)
        api.delete("namespaces", None, g.ns)
        for p in api.items("pods", g.ns):
            _strip("pods", g.ns, p["metadata"]["name"])
            api.delete("pods", g.ns, p["metadata"]["name"], 1)
    except Exception as x:
        t.log("reaping: %s" % x)


def _pool(entries):
    """In their order, JOBS at a time, and two sites a job (a test of more runs
    beside fewer): what waits is not overtaken."""
    todo, results = list(entries), []
    free, change = 2 * JOBS, threading.Condition()

    def places(e):
        return min(e["sites"], 2 * JOBS)

    def take():
        nonlocal free
        with change:
            change.wait_for(lambda: not todo or places(todo[0]) <= free)
            if not todo:
                return None
            free -= places(todo[0])
            return todo.pop(0)

    def work():
        nonlocal free
        while (e := take()) is not None:
            results.append(_one(e))
            with change:
                free += places(e)
                change.notify_all()

    threads = [threading.Thread(target=work) for _ in range(JOBS)]
    for th in threads:
        th.start()
    for th in threads:
        th.join()
    return results


def choose(names, full):
    known = {e["name"] for e in TESTS}
    for n in names:
        if n not in known:
            print("labtest: no test %r; there are: %s"
                  % (n, " ".join(sorted(known))), file=sys.stderr)
            sys.exit(2)
    chosen = [e for e in TESTS
              if (e["name"] in names if names else full or not e["full"])]
    return sorted(chosen, key=lambda e: e["order"])


def main(names, full=False):
    chosen = choose(names, full)
    os.makedirs(OUT, exist_ok=True)
    results = _pool([e for e in chosen if not e["alone"]])
    for e in chosen:
        if e["alone"]:
            results.append(_one(e))
            lab.fault("clear", check=False)
    return 0 if results and all(results) else 1
