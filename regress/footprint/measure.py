"""What processes cost: proportional memory by kind, processor time, and what the
operator says of itself at /metrics. And what a Pod's status looks like when its
sandbox stands and its init containers wait: it has an address, and nobody there.
Used with nodes (labtest/b_footprint.py) and without (footprint.py)."""
import json
import os
import re
import time
import urllib.request

HOLE = "198.18.0.0/15"          # RFC 2544: packets to it are dropped
LATE = "bloodraven_probe_late_seconds"
LATE_MAX = "bloodraven_probe_late_max_seconds"
REQUESTS = re.compile(
    r'bloodraven_api_requests_total\{worker="([^"]*)",verb="([^"]*)",'
    r'resource="([^"]*)",code="[^"]*"\}$')
KINDS = ("heap", "anonymous", "stack", "program data", "program text",
         "library data", "library text")


def tree(pid):
    """A process and all that descend from it."""
    found = [pid]
    for p in found:
        try:
            for task in os.listdir("/proc/%d/task" % p):
                with open("/proc/%d/task/%s/children" % (p, task)) as f:
                    found += [int(x) for x in f.read().split()]
        except OSError:
            pass
    return found


def title(pid):
    """"kube-watcher" of "bloodraven: kube-watcher"."""
    with open("/proc/%d/cmdline" % pid, "rb") as f:
        text = f.read().replace(b"\0", b" ").decode(errors="replace").strip()
    m = re.match(r"\S*: (\S+)", text)
    return m.group(1) if m else os.path.basename(text.split(" ")[0])


def mappings(pid):
    """(path, {field: KiB}) of each."""
    name, fields = None, {}
    with open("/proc/%d/smaps" % pid) as f:
        for line in f:
            m = re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+\s*(.*)$", line)
            if m:
                if name is not None:
                    yield name, fields
                name, fields = m.group(1), {}
                continue
            k, _, v = line.partition(":")
            if v.endswith(" kB\n"):
                fields[k] = int(v[:-3])
    if name is not None:
        yield name, fields


def memory(pid):
    """KiB of proportional memory by kind. What was written in a file's mapping
    (relocations, variables) is "data", the rest of it "text"."""
    out = dict.fromkeys(KINDS, 0.0)
    for name, f in mappings(pid):
        pss, anon = f.get("Pss", 0), f.get("Anonymous", 0)
        if name == "[heap]":
            out["heap"] += pss
        elif name == "[stack]":
            out["stack"] += pss
        elif not name.startswith("/"):
            out["anonymous"] += pss
        else:
            kind = "library" if ".so" in name else "program"
            # Of a page that a fork left shared, the proportion is not told.
            dirty = min(pss, f.get("Pss_Dirty", anon))
            out[kind + " data"] += dirty
            out[kind + " text"] += pss - dirty
    return out


def run_ns(pid):
    """Time on a processor so far."""
    try:
        with open("/proc/%d/schedstat" % pid) as f:
            return int(f.read().split()[0])
    except OSError:
        with open("/proc/%d/stat" % pid) as f:
            v = f.read().rsplit(") ", 1)[1].split()
        return (int(v[11]) + int(v[12])) * 10**9 // os.sysconf("SC_CLK_TCK")


def scrape(url):
    """{series: value}"""
    with urllib.request.urlopen(url, timeout=10) as r:
        text = r.read().decode()
    out = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            k, _, v = line.rpartition(" ")
            out[k] = float(v)
    return out


def counts(series):
    """Requests of an operator: {"worker VERB resource": number}"""
    out = {}
    for k, v in series.items():
        m = REQUESTS.match(k)
        if m:
            name = "%s %s %s" % m.groups()
            out[name] = out.get(name, 0) + v
    return out


def writes(count):
    """Of these, but for the Lease, which says that this operator lives."""
    return {k: v for k, v in count.items()
            if " GET " not in k and not k.endswith(" leases")}


def quantile(before, after, name, q):
    """Of a histogram without labels, in what was added between two scrapes;
    inside a bucket by proportion."""
    edges = []
    for k, v in after.items():
        m = re.match(re.escape(name) + r'_bucket\{le="([^"]+)"\}$', k)
        if m:
            edges.append((float(m.group(1).replace("+Inf", "inf")),
                          v - before.get(k, 0)))
    edges.sort()
    if not edges or edges[-1][1] <= 0:
        return None
    want, low, below = q * edges[-1][1], 0.0, 0.0
    for edge, n in edges:
        if n >= want:
            if edge == float("inf"):
                return low
            return low + (edge - low) * (want - below) / max(n - below, 1)
        low, below = edge, n
    return low


def table(title_, rows, columns, width=9):
    """Text of numbers: rows [(name, [value...])]."""
    w = max([len(title_)] + [len(r[0]) for r in rows])
    out = ["%-*s %s" % (w, title_, " ".join(
        "%*s" % (max(width, len(c)), c) for c in columns))]
    for name, values in rows:
        out.append("%-*s %s" % (w, name, " ".join(
            "%*.2f" % (max(width, len(c)), v)
            for c, v in zip(columns, values))))
    return "\n".join(out)


class Window:
    """Figures of processes over some time; read memory at its end."""

    def __init__(self, pid, url):
        self.pids = {p: title(p) for p in tree(pid)}
        self.url = url
        self.before = scrape(url)
        self.begun = time.monotonic()
        self.cpu = {p: run_ns(p) for p in self.pids}

    def end(self):
        """[(process, {kind: KiB}, % of one processor)]"""
        took = time.monotonic() - self.begun
        self.minutes = took / 60
        self.after = scrape(self.url)
        self.procs = sorted(
            (self.pids[p], memory(p), (run_ns(p) - self.cpu[p]) / took / 1e7)
            for p in self.pids)

    def pss(self):
        return sum(sum(m.values()) for _, m, _ in self.procs) / 1024

    def percent(self):
        return sum(c for _, _, c in self.procs)

    def text(self, head):
        rows = [(name, [sum(m.values()) / 1024] +
                 [m[k] / 1024 for k in KINDS] + [cpu])
                for name, m, cpu in self.procs]
        rows.append(("all", [sum(c) for c in zip(*[r[1] for r in rows])]))
        return table(head, rows, ("PSS",) + KINDS + ("CPU %",))

    def requests(self, count):
        """Text of {what: number in this window}."""
        return table("requests a minute", sorted(
            (k, [n / self.minutes]) for k, n in count.items()) or
            [("none", [0])], ("",))


def growth(pss, cpu):
    """Text of what a group more costs."""
    rows, last = [], None
    for g in sorted(pss):
        rows.append(("%d groups" % g, [pss[g], cpu[g]] + (
            [0, 0] if last is None else
            [(pss[g] - pss[last]) * 1024 / (g - last),
             (cpu[g] - cpu[last]) / (g - last)])))
        last = g
    return table("growth", rows, ("PSS MiB", "CPU %", "KiB a group more",
                                  "CPU % a group more"))


def result(bench, pss, cpu, first, last, writes):
    """The last line: first and last are windows, writes a minute of each."""
    def ms(v):
        return None if v is None else round(v * 1000, 2)
    return json.dumps({
        "bench": bench,
        "pssMiB": {"g%d" % g: round(v, 2) for g, v in pss.items()},
        "cpuPercent": {"g%d" % g: round(v, 2) for g, v in cpu.items()},
        "lateProbeMs": {"p50": ms(quantile(first.before, last.after, LATE,
                                           0.5)),
                        "max": ms(last.after.get(LATE_MAX))},
        "steadyWritesPerMinute": round(max(writes), 2)},
        separators=(",", ":"))


def address(n):
    """The n-th address in the hole, from 0."""
    return "198.18.%d.%d" % (n // 250, n % 250 + 1)


def pending(pod, ip):
    """A kubelet's status of this Pod while its init containers wait."""
    def waiting(cs):
        return [{"name": c["name"], "image": c["image"], "imageID": "",
                 "ready": False, "restartCount": 0,
                 "state": {"waiting": {"reason": "PodInitializing"}}}
                for c in cs]
    at, spec = pod["metadata"]["creationTimestamp"], pod["spec"]
    return {"phase": "Pending", "hostIP": "198.19.0.1", "podIP": ip,
            "podIPs": [{"ip": ip}], "startTime": at,
            "conditions": [
                {"type": t, "lastTransitionTime": at,
                 "status": "True" if t == "PodScheduled" else "False"}
                for t in ("Initialized", "Ready", "ContainersReady",
                          "PodScheduled")],
            "initContainerStatuses": waiting(spec.get("initContainers", [])),
            "containerStatuses": waiting(spec["containers"])}
