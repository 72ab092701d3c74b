"""The whole operator and input that is broken or odd; see README.md.

test_operator.py WORKDIR [TEST...]
"""
import importlib
import os
import re
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../footprint"),
                os.path.join(HERE, "../kube"),
                os.path.join(HERE, "../manifests")]

import footprint  # noqa: E402
import measure  # noqa: E402
from cluster import Answer, b64, eprint, wait_for  # noqa: E402

NS = footprint.NS
API = "/apis/shipstream.io/v1alpha1/namespaces/%s/mysqlfailovergroups"
APPS = "/apis/apps/v1/namespaces/%s/deployments"
CORE = "/api/v1/namespaces/%s/"
TESTS = []
c = None


def test(fn):
    TESTS.append(fn)
    return fn


class Whole(footprint.Bench):
    """The cluster and the operator; a thread plays the kubelet."""

    def begin(self):
        self.network()
        self.up()
        self.controllers()
        self.install()
        self.operator()
        self.ended = threading.Event()
        self.played = threading.Thread(target=self.play, daemon=True)
        self.played.start()

    def play(self):
        while not self.ended.wait(0.5):
            try:
                self.node()
                self.kubelet()
            except (OSError, Answer):
                pass            # a Pod that went; tried again

    def end(self):
        if hasattr(self, "played"):
            self.ended.set()
            self.played.join()
        if hasattr(self, "op"):
            self.stop_operator()
        self.stop("controllers")
        self.down()

    def check_workers(self):
        """None ended, and the parent said all it had to say."""
        assert self.op.poll() is None, "the operator ended"
        ended = {k: v for k, v in measure.scrape(footprint.METRICS).items()
                 if k.startswith(("bloodraven_worker_restarts_total",
                                  "bloodraven_sandbox_violations_total"))
                 and v}
        assert not ended, ended
        with open(self.log) as f:
            bad = [x for x in f if re.search(
                r'"worker died"|"message not sent"|"level":"(error|fatal)"',
                x, re.I)]
        assert not bad, "".join(bad[:5])


def namespace(ns):
    c.create("/api/v1/namespaces", {"metadata": {"name": ns}})


def secret(ns, name, data):
    c.create((CORE % ns) + "secrets", {
        "metadata": {"name": name},
        "data": {k: b64(v) for k, v in data.items()}})


def site(name, ip, **kw):
    return dict(name=name, zone=name, lbIP=ip,
                taintNodeSelector={"zone": name},
                storage={"storageClassName": "local", "size": "1Gi"}, **kw)


def group(ns, name, spec):
    return {"apiVersion": "shipstream.io/v1alpha1",
            "kind": "MysqlFailoverGroup",
            "metadata": {"name": name, "namespace": ns}, "spec": spec}


def conditions(o):
    return ["%s %s %s: %s" % (x["type"], x["status"], x["reason"],
                              x["message"])
            for x in (o.get("status") or {}).get("conditions") or []]


def told(ns, name, uid):
    """What the conditions say of it, and what its Events do."""
    events = ["%s: %s" % (e["reason"], e.get("message"))
              for e in c.get((CORE % ns) + "events")["items"]
              if e["involvedObject"].get("uid") == uid]
    return conditions(c.get(f"{API % ns}/{name}")), events


def is_told(ns, name, uid, regex):
    return all(any(re.search(regex, x) for x in kind)
               for kind in told(ns, name, uid))


def names(ns):
    return {o["metadata"]["name"] for o in c.get(APPS % ns)["items"]}


def away(ns, name):
    """Deleted, and gone: the operator takes its finalizer off."""
    c.delete(f"{API % ns}/{name}")
    wait_for(f"{ns}/{name} is gone", 60,
             lambda: c.get(f"{API % ns}/{name}") is None)


for part in "broken", "random_specs":
    importlib.import_module(part)


def run(only):
    failed = []
    for t in TESTS:
        if only and t.__name__ not in only:
            continue
        t0 = time.monotonic()
        try:
            t()
            c.check_workers()
            how = "ok  "
        except Exception:
            c.check_alive()
            traceback.print_exc()
            failed.append(t.__name__)
            how = "FAIL"
        eprint(f"{how} {t.__name__} {time.monotonic() - t0:.1f} s")
    eprint(f"{len(failed)} failed: {' '.join(failed)}" if failed else
           "all passed")
    return 1 if failed else 0


def main():
    global c
    c = Whole(sys.argv[1])
    try:
        c.begin()
        return run(sys.argv[2:])
    finally:
        c.end()


if __name__ == "__main__":
    sys.exit(main())
