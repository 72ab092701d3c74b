"""What benches share."""
import os
import sys
import time

import api
import bloodraven as op
import lab

OUT = os.environ.get("LABTEST_OUT", "/var/tmp/bloodraven-bench")
T0 = time.monotonic()


def progress(text):
    print("[%4d s] %s" % (time.monotonic() - T0, text), file=sys.stderr,
          flush=True)


def install(*nodes):
    progress("installing the operator on %s" % ", ".join(nodes))
    op.install()
    op.place(*nodes)
    op.wait_settled()
    op.wait_leader()


def keep(name):
    """What explains a failure, or a figure."""
    d = os.path.join(OUT, name)
    os.makedirs(d, exist_ok=True)
    with open(os.path.join(d, "operator.log"), "w") as f:
        f.write("\n".join(op.log().new_lines()))
    for kind in ("mysqlfailovergroups", "pods", "events"):
        try:
            with open(os.path.join(d, kind + ".json"), "w") as f:
                f.write(api.json.dumps(api.items(kind), indent=1))
        except (api.ApiError, api.Unreachable):
            pass


def remove(g):
    api.delete("mysqlfailovergroups", g.ns, g.name)
    api.wait("%s is gone" % g.name, 120, lambda: not [
        p for s in g.sites for p in g.pods(s)])
    api.delete("namespaces", None, g.ns)


def clear():
    lab.fault("clear", check=False)
