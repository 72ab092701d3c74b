#!/usr/bin/env python3
"""metrics.py : holds bloodraven-metrics(5), the reference's names and what
feeds them against src/metrics.def. Each kind of difference, put in on purpose,
must be found."""
import glob
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.realpath(__file__))))
PAGE = os.path.join(TOP, "man", "bloodraven-metrics.5")

# The reference's families of the parts that are built: dashboards and alerts
# match on names and labels, so that neither may go. Ours may have more labels.
CONTRACT = """
poll_latency_seconds histogram site
state_transitions_total counter site from to
taint_operations_total counter site action
dns_flips_total counter site
failovers_total counter target_site
planned_failovers_total counter target_site result
planned_failover_duration_seconds histogram target_site
planned_failover_lag_wait_seconds histogram target_site
planned_failovers_deferred_total counter group reason
split_brain_auto_resolve_total counter prefer_site
primary_reassert_total counter site
websocket_connected_clients gauge
site_state gauge namespace group site role state
replication_lag_seconds gauge namespace group site role
replication_running gauge namespace group site role thread
replication_source_state gauge namespace group site state
divergent_transactions gauge site
reclone_operations_total counter site
http_requests_total counter server handler method status
http_request_duration_seconds histogram server handler method
"""

# Nothing moves these before the feature is built; the page says so, too.
LATER = {"PLANNED_FAILOVERS", "PLANNED_DURATION", "PLANNED_LAG_WAIT",
         "PLANNED_DEFERRED", "RECLONES"}
LATER_TITLE = ".Ss Of features that are not built yet"


def say(ok, what, details=()):
    for d in details:
        print("    " + d, file=sys.stderr)
    print("%s - %s" % ("ok" if ok else "not ok", what))
    return ok


def families(text):
    """name -> (type, labels, id), by the preprocessor."""
    src = ("#define METRIC(id, name, type, buckets, help, ...) "
           "@@ id @ name @ type @ __VA_ARGS__ @@\n") + text
    out = subprocess.run(["gcc", "-E", "-P", "-"], input=src, check=True,
                         stdout=subprocess.PIPE,
                         universal_newlines=True).stdout
    fams = {}
    for entry in re.findall(r"@@ (.*?) @@", " ".join(out.split())):
        ident, name, kind, labels = [p.strip() for p in entry.split("@")]
        fams[name.strip('"')] = (kind.lower(), re.findall(r'"(\w+)"', labels),
                                 ident)
    return fams


def read_page(text):
    """name -> (type, labels, later)."""
    fams, bad, now, later, inside = {}, [], None, False, False
    for n, line in enumerate(text.split("\n"), 1):
        if line.startswith('.\\" families: '):
            inside = line.endswith("begin")
        if not inside:
            continue
        m = re.match(r"\.It Li (\w+)$", line)
        if line.startswith(".Ss "):
            later = line == LATER_TITLE
        if m or line == ".El":
            if now and not fams[now][3]:
                bad.append("%s says nothing" % now)
            now = m and m.group(1)
            if m and now in fams:
                bad.append("line %d: %s is listed twice" % (n, now))
            if m:
                fams[now] = [None, [], later, False]
        elif now and fams[now][0] is None:
            m = re.match(r"\.Sy (\w+) ([.:])$", line)
            fams[now][0] = m.group(1) if m else "no type"
        elif now and line.startswith(".Li ") and line.endswith(" .") and \
                not fams[now][1] and not fams[now][3] and \
                fams[now][0] != "no type":
            fams[now][1] = line[4:-2].replace(",", " ").split()
        elif now and line.strip():
            fams[now][3] = True
    return fams, bad


def fed(ident, name, sources):
    """Where its value comes from: by its id, or by its name."""
    for path, text in sources.items():
        if re.search(r"\bM_%s\b" % ident, text):
            return True
        if path.endswith(("metrics.def", "fsm_names.h")):
            continue
        if '"%s"' % name in text:
            return True
    m = re.search(r'X\((FM_\w+),\s*"%s"\)' % name, sources["src/fsm_names.h"])
    return bool(m) and any(re.search(r"fsm_count\([^;]*\b%s\b" % m.group(1), t)
                           for t in sources.values())


def judge(definition, page, sources):
    code, bad = families(definition), []
    listed, more = read_page(page)
    bad += more
    for name in sorted(set(code) | set(listed)):
        if name not in listed:
            bad.append("%s is not in the page" % name)
            continue
        if name not in code:
            bad.append("%s is declared nowhere" % name)
            continue
        kind, labels, ident = code[name]
        if listed[name][0] != kind:
            bad.append("%s: %s in the page, %s in the code" % (
                name, listed[name][0], kind))
        if listed[name][1] != labels:
            bad.append("%s: labels %s in the page, %s in the code" % (
                name, listed[name][1], labels))
        if listed[name][2] != (ident in LATER):
            bad.append("%s: is it built?" % name)
        if (ident in LATER) == fed(ident, name, sources):
            bad.append("%s: %s" % (name, "is fed, and not of a later part"
                                   if ident in LATER else "is never set"))
        if "group" in labels and "namespace" not in labels:
            bad.append("%s: group without namespace" % name)
    for line in CONTRACT.strip().split("\n"):
        name, kind, *labels = line.split()
        ours = code.get("bloodraven_" + name)
        if ours is None:
            bad.append("the reference's %s is missing" % name)
        elif ours[0] != kind or not set(labels) <= set(ours[1]):
            bad.append("the reference's %s is a %s with %s" % (name, kind,
                                                              labels))
    return bad, len(code)


def mutants(d, p, s):
    def other(path, old, new):
        assert old in s[path], old
        return dict(s, **{path: s[path].replace(old, new)})

    def swap(text, old, new):
        assert old in text, old
        return text.replace(old, new, 1)

    name = "bloodraven_failover_duration_seconds"
    yield "a family is new", d + \
        'METRIC(NEW, "bloodraven_new", GAUGE, B_NONE, "New.", "site")\n', p, s
    yield "a label is new", swap(
        d, '"namespace", "group", "step")', '"namespace", "group", "stage")'
    ), p, s
    yield "a type is another", swap(
        d, '"bloodraven_epoch", GAUGE', '"bloodraven_epoch", COUNTER'), p, s
    yield "a name of the reference is another", swap(
        d, "bloodraven_dns_flips_total", "bloodraven_dns_changes_total"
    ), swap(p, "bloodraven_dns_flips_total",
            "bloodraven_dns_changes_total"), s
    yield "the page lacks a family", d, swap(
        p, ".It Li %s\n" % name, ".It Li bloodraven_epoch\n"), s
    yield "the page has one too many", d, swap(
        p, ".It Li %s\n" % name,
        ".It Li bloodraven_more\n.Sy gauge .\nMore.\n.It Li %s\n" % name), s
    yield "a family is never set", d, p, other(
        "src/group_metrics.c", "M_FAILOVER_DURATION", "M_OTHER")
    yield "a counter of the core is never moved", d, p, other(
        "src/fsm_event.c", "fsm_count(x, FM_FENCES", "fsm_count(x, FM_CLONES")
    yield "what is not built is fed", d, p, dict(
        s, **{"src/new.c": "metric_add(&s, M_RECLONES, 1, ML());"})


def main():
    sources = {}
    for f in glob.glob(os.path.join(TOP, "src", "*.[ch]")):
        if not f.endswith("/metrics.h"):
            # a counter that is only begun is not moved
            sources[os.path.relpath(f, TOP)] = re.sub(
                r"\nzero_counters\(.*?\n}\n", "\n", open(f).read(),
                flags=re.S)
    d = open(os.path.join(TOP, "src", "metrics.def")).read()
    p = open(PAGE).read()
    bad, n = judge(d, p, sources)
    ok = say(not bad, "bloodraven-metrics(5) against the code: %d families%s" %
             (n, ", %d differences" % len(bad) if bad else ""), bad)
    for what, md, mp, ms in mutants(d, p, sources):
        found = len(judge(md, mp, ms)[0]) > len(bad)
        ok = say(found, "bloodraven-metrics(5): found when %s" % what) and ok
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
