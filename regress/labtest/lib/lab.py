"""Nodes, containers, their processes and logs, and the lab's faults. The program
runs in the lab's control network: Pods are reached by their addresses."""
import calendar
import contextlib
import glob
import json
import os
import re
import shlex
import signal
import subprocess
import time

from api import Failure, SLOW, wait

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.."))
LAB = os.path.join(TOP, "regress/lab")
NET = os.environ.get("LAB_NET", "")
K8S = os.path.dirname(NET)
NODES = os.environ.get("LAB_NODES", "").split()
BUILD = os.environ.get("LABTEST_BUILD", "")
BUILD_TREE = os.environ.get("LABTEST_BUILD_TREE", "")
MYSQL_TREE = os.environ.get("LABTEST_MYSQL_TREE", "")


def run(*argv, **kw):
    """Output of a command; Failure with its words when it fails."""
    check = kw.pop("check", True)
    kw["timeout"] = kw.get("timeout", 120) * SLOW
    try:
        p = subprocess.run(argv, stdin=kw.pop("stdin", subprocess.DEVNULL),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           universal_newlines=True, **kw)
    except subprocess.TimeoutExpired:
        raise Failure("%s: no end within %g s"
                      % (shlex.join(argv)[:200], kw["timeout"])) from None
    if check and p.returncode != 0:
        raise Failure("%s: %s" % (shlex.join(argv)[:200],
                                  (p.stderr or p.stdout).strip()[-600:]))
    return p.stdout


def fault(*argv, **kw):
    return run(os.path.join(LAB, "fault"), *argv, **kw)


def lab(*argv, **kw):
    return run(os.path.join(LAB, "lab"), *argv, **kw)


def kubectl(*argv, **kw):
    return lab("kubectl", *argv, **kw)


def in_tree(tree, prog):
    """argv of a program of one of our trees by the tree's own loader."""
    loader = glob.glob(tree + "/usr/lib*/ld-linux-*.so.*")
    libs = glob.glob(tree + "/usr/lib/*-linux-gnu")
    if not loader or not libs:
        raise Failure("no loader in " + tree)
    return [loader[0], "--argv0", prog, "--library-path", libs[0], prog]


def on_node(node, argv):
    return ["nsenter", "--net=%s/%s" % (NET, node)] + argv


# --- times: one host, one clock

def boot_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def wall_to_boot(wall_ns):
    return wall_ns - time.time_ns() + boot_ns()


def parse_time(text):
    """RFC 3339 with any fraction, in nanoseconds since 1970."""
    m = re.match(r"(\d+-\d+-\d+T\d+:\d+:\d+)(?:\.(\d+))?Z$", text)
    s = calendar.timegm(time.strptime(m.group(1), "%Y-%m-%dT%H:%M:%S"))
    return s * 10**9 + int((m.group(2) or "0").ljust(9, "0")[:9])


# --- processes of containers, seen from the machine

def pids_of(container_id):
    """Process ids, the container's first process first."""
    cid = container_id.split("://")[-1]
    found = []
    for p in glob.glob("/proc/[0-9]*"):
        try:
            with open(p + "/cgroup") as f:
                if cid not in f.read():
                    continue
            with open(p + "/status") as f:
                m = re.search(r"^NSpid:\t(.*)$", f.read(), re.M)
        except OSError:
            continue
        inner = m.group(1).split()[-1] if m else "0"
        found.append((int(inner), int(os.path.basename(p))))
    return [pid for _, pid in sorted(found)]


# Of the guard's processes: the kernel's names for them.
NAMES = {"keeper": "guard", "killer": "guard-killer"}


def processes(container_id, name):
    """Of this name ("fault procs" shows them)."""
    found = []
    for pid in pids_of(container_id):
        try:
            with open("/proc/%d/comm" % pid) as f:
                if f.read().strip() == NAMES.get(name, name):
                    found.append(pid)
        except OSError:
            pass
    return found


def process(container_id, name):
    found = processes(container_id, name)
    if len(found) != 1:
        raise Failure("%d processes %r in %s" % (
            len(found), name, container_id))
    return found[0]


def states(pid):
    """Of its threads, a letter each; nothing when it is no more."""
    out = ""
    for path in glob.glob("/proc/%d/task/*/stat" % pid):
        try:
            with open(path) as f:
                out += f.read().rsplit(") ", 1)[1][0]
        except OSError:
            pass
    return out


def gone(pids):
    """None of these processes is left. A zombie is not left, but for as long as
    other threads of it are: one that is in the midst of a call ends that."""
    return all(set(states(p)) <= set("ZX") for p in pids)


def stop(pids):
    """All of them within a moment, and it is waited for all of their threads: a
    signal that is pending stops nobody yet. Who has gone runs no more either."""
    for p in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(p, signal.SIGSTOP)
    wait("%s stopped" % pids, 20, lambda: all(
        set(states(p)) <= set("TZX") for p in pids),
        lambda: [states(p) for p in pids], interval=0.005)


def kill(pids):
    """The first of them, and it is waited for all: a process that is killed
    still runs for a moment, and mysqld may acknowledge a write in it."""
    os.kill(pids[0], signal.SIGKILL)
    wait("%s ended" % pids, 20, lambda: gone(pids), interval=0.005)


def kill9(container_id):
    """A container's first process; the rest of it ends with it."""
    pids = pids_of(container_id)
    if not pids:
        raise Failure("no process of container " + container_id)
    kill(pids)


def pss_kib(container_id):
    """Proportional set size of all processes of a container."""
    total = 0
    for pid in pids_of(container_id):
        try:
            with open("/proc/%d/smaps_rollup" % pid) as f:
                m = re.search(r"^Pss:\s+(\d+)", f.read(), re.M)
        except OSError:
            continue
        total += int(m.group(1)) if m else 0
    return total


def container(pod, name):
    """Container status of a Pod object, {} when there is none yet."""
    for c in pod.get("status", {}).get("containerStatuses") or []:
        if c["name"] == name:
            return c
    return {}


def read_in(container_id, path):
    """A file as the container sees it. A kubelet puts new folders in the place of
    old ones: between two of them there is none for a moment."""
    pids = pids_of(container_id)
    try:
        with open("/proc/%d/root%s" % (pids[0], path)) as f:
            return f.read()
    except (IndexError, OSError) as x:
        raise Failure("%s in %s: %s" % (path, container_id, x)) from None


class PodLog:
    """A container's log as the kubelet's node has it on its disk: complete, at
    once, also while the API server is away and after a kill -9."""

    def __init__(self, ns, pod_glob, name):
        self.pattern = "%s/nodes/*/upper/var/log/pods/%s_%s_*/%s/*.log*" % (
            K8S, ns, pod_glob, name)
        self.offsets = {}
        self.partial = {}
        self.found, self.look_again = [], 0

    def files(self):
        # A look costs; what is new begins with a new file only rarely.
        now = time.monotonic()
        if self.found and now < self.look_again:
            return self.found
        self.look_again = now + 0.05
        self.found = self._files()
        return self.found

    def _files(self):
        def started(f):
            try:
                return os.stat(f).st_mtime
            except OSError:
                return 0
        return sorted(glob.glob(self.pattern), key=started)

    def skip(self):
        """From here on only."""
        for f in self.files():
            try:
                self.offsets[f] = os.stat(f).st_size
            except OSError:
                pass
        return self

    def new_lines(self):
        out = []
        for f in self.files():
            try:
                with open(f, "rb") as fp:
                    fp.seek(self.offsets.get(f, 0))
                    data = fp.read()
            except OSError:
                continue
            end = data.rfind(b"\n") + 1
            self.offsets[f] = self.offsets.get(f, 0) + end
            for line in data[:end].decode("utf-8", "replace").splitlines():
                text = self._cri(f, line)
                if text is not None:
                    out.append(text)
        return out

    def _cri(self, f, line):
        """"time stream P|F text": long lines come in parts."""
        parts = line.split(" ", 3)
        if len(parts) < 4:
            return None
        text = self.partial.pop(f, "") + parts[3]
        if parts[2] == "P":
            self.partial[f] = text
            return None
        return text

    def new_records(self):
        out = []
        for line in self.new_lines():
            try:
                r = json.loads(line)
            except ValueError:
                continue
            if isinstance(r, dict):
                out.append(r)
        return out
