#!/usr/bin/env python3
"""promtool.py BUILD_DIR OUT : /metrics of a real status-server, in its sandbox,
with two groups and every family moved once, goes to OUT for promtool(1)."""
import json
import os
import re
import subprocess
import sys
import urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.realpath(__file__))))
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import metrics as table  # noqa: E402  (beside this file)

COMMANDS = [
    "state 1",
    "group 11111111-1111-1111-1111-111111111111 db orders iad iad pdx",
    "site 11111111-1111-1111-1111-111111111111 iad writable",
    "group 22222222-2222-2222-2222-222222222222 db carts pdx iad pdx",
    "every db orders iad",
    "every db carts pdx",
    "every db carts iad",
]


def main():
    build, out = sys.argv[1:3]
    p = subprocess.Popen([os.path.join(build, "regress/http/server")],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, universal_newlines=True)
    port = None
    try:
        while port is None:
            line = p.stderr.readline()
            if not line:
                raise SystemExit("not ok - status-server did not start")
            if "starting metrics HTTP server" in line:
                port = int(json.loads(line)["addr"].rsplit(":", 1)[1])
        assert p.stdout.readline().strip() == "ready"
        for c in COMMANDS:
            p.stdin.write(c + "\n")
            p.stdin.flush()
            assert p.stdout.readline().strip() == "done", c
        with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % port,
                                    timeout=30) as r:
            text = r.read().decode()
    finally:
        p.stdin.close()
        p.wait()
    with open(out, "w") as f:
        f.write(text)
    declared = table.families(
        open(os.path.join(TOP, "src", "metrics.def")).read())
    typed = set(re.findall(r"^# TYPE (\S+) ", text, re.M))
    missing = sorted(set(declared) - typed)
    for m in missing:
        print("    no series of %s" % m, file=sys.stderr)
    print("%s - a real status-server tells every family: %d" % (
        "not ok" if missing else "ok", len(typed)))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
