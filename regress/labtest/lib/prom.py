"""A real Prometheus, in the lab's control network, that scrapes the operators."""
import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import bloodraven as op
import lab
from api import Failure, wait

TREE = os.environ.get("LABTEST_PROMETHEUS_TREE", "")
ADDR = "127.0.0.1:19090"
CONFIG = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
- job_name: bloodraven
  honor_labels: true
  file_sd_configs:
  - files: ["%s"]
    refresh_interval: 1s
"""


def fetch(address):
    """/metrics of one operator."""
    with urllib.request.urlopen("http://%s:8080/metrics" % address,
                                timeout=10) as r:
        return r.read().decode()


def promtool(text):
    """What promtool has to say about it, "" for nothing."""
    p = subprocess.run(
        lab.in_tree(TREE, TREE + "/usr/bin/promtool") + ["check", "metrics"],
        input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        universal_newlines=True, timeout=60)
    return p.stdout.strip() or ("" if p.returncode == 0 else
                                "exit status %d" % p.returncode)


class Prometheus:
    def __init__(self, t):
        self.dir = os.path.join(t.dir, "prometheus")
        os.makedirs(self.dir)
        self.targets = os.path.join(self.dir, "targets.json")
        conf = os.path.join(self.dir, "prometheus.yml")
        with open(conf, "w") as f:
            f.write(CONFIG % self.targets)
        self.follow()
        self.err = open(os.path.join(self.dir, "prometheus.log"), "w")
        self.p = subprocess.Popen(
            lab.in_tree(TREE, TREE + "/usr/bin/prometheus") + [
                "--config.file=" + conf,
                "--storage.tsdb.path=" + os.path.join(self.dir, "data"),
                "--web.listen-address=" + ADDR],
            stdin=subprocess.DEVNULL, stdout=self.err, stderr=self.err)
        t.finally_(self.stop)
        wait("Prometheus is ready", 60, self._ready, self._said)

    def follow(self):
        """Scrape the operators that there are now."""
        tmp = self.targets + ".new"
        with open(tmp, "w") as f:
            json.dump([{"targets": [a + ":8080" for a in op.addresses()]}], f)
        os.rename(tmp, self.targets)

    def stop(self):
        self.p.terminate()
        try:
            self.p.wait(20)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
        self.err.close()

    def _said(self):
        with open(self.err.name) as f:
            return f.read()[-400:]

    def _get(self, path):
        if self.p.poll() is not None:
            raise Failure("Prometheus ended: " + self._said())
        try:
            with urllib.request.urlopen("http://%s%s" % (ADDR, path),
                                        timeout=10) as r:
                return r.read().decode()
        except (OSError, urllib.error.URLError) as x:
            raise Failure("Prometheus: %s" % x) from None

    def _ready(self):
        return "Ready" in self._get("/-/ready")

    def query(self, expr):
        """[(labels, value)] of an instant query."""
        text = self._get("/api/v1/query?" + urllib.parse.urlencode(
            {"query": expr}))
        return [(r["metric"], float(r["value"][1]))
                for r in json.loads(text)["data"]["result"]]

    def value(self, expr):
        """The one value of an expression, None when it has none."""
        found = self.query(expr)
        if len(found) > 1:
            raise Failure("%s has %d values: %s" % (expr, len(found), found))
        return found[0][1] if found else None

    def wait(self, expr, want, seconds=60):
        """Until the expression has that value, or want(value) is true."""
        def there():
            v = self.value(expr)
            return v is not None and (
                want(v) if callable(want) else v == want) and (v,)
        return wait("%s" % expr, seconds, there,
                    lambda: self.query(expr), interval=0.5)[0]
