"""test_crd.py JUDGE VERDICT : crds/ before a new API server's own code (JUDGE),
and what the operator says of the same objects (VERDICT).

SEED and SPECS in the environment: of which random specs, and how many.
"""
import copy
import glob
import json
import os
import random
import re
import subprocess
import sys

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.normpath(os.path.join(HERE, "../.."))
sys.path[:0] = [HERE, TOP + "/regress/kube", TOP + "/regress/manifests"]
import cases  # noqa: E402
import rules  # noqa: E402
import specs  # noqa: E402

CRD = TOP + "/crds/mysqlfailovergroups.yaml"
GOOD = TOP + "/regress/manifests/good"
JUDGE, VERDICT = sys.argv[1:]
BLOCKED = "some validation rules were not checked"
failed = 0


def result(name, wrong):
    global failed
    wrong = list(wrong)
    for w in wrong[:20]:
        print(f"    {w}", file=sys.stderr)
    if len(wrong) > 20:
        print(f"    and {len(wrong) - 20} more", file=sys.stderr)
    print(("not ok" if wrong else "ok") + f" - crd: {name}", flush=True)
    failed += bool(wrong)


def ask(program, values):
    """One answer for each value."""
    text = "".join(json.dumps(v) + "\n" for v in values)
    p = subprocess.run(program, input=text, text=True, check=True,
                       stdout=subprocess.PIPE)
    answers = [json.loads(line) for line in p.stdout.splitlines()]
    assert len(answers) == len(values), (len(answers), len(values))
    return answers


def server(objects, ratchet=True):
    """objects: custom resources, or (new, old) for an update."""
    return ask([JUDGE, "objects", CRD], [
        {"object": o[0], "old": o[1], "noRatchet": not ratchet}
        if isinstance(o, tuple) else {"object": o} for o in objects])


def operator(objects, runs=True):
    """As the API server stores them, with what it adds. runs: they have had a
    primary; the operator refuses more of those that have not."""
    out = []
    for o in objects:
        o = copy.deepcopy(o)
        if runs:
            o["status"] = {"authority": {}}
        o.setdefault("metadata", {}).update(
            namespace="lab", uid="00000000-0000-4000-8000-000000000001",
            resourceVersion="7", generation=1)
        o["metadata"].setdefault("name", "db")
        out.append(o)
    return [a["problems"] for a in ask([VERDICT], out)]


def manifest(path):
    with open(path) as f:
        return yaml.safe_load(f)


def minimal(change=None):
    o = manifest(GOOD + "/minimal.yaml")
    o["spec"] = rules.merged(o["spec"], change or {})
    return o


# -------------------------------------------------- rules, in both mouths

RULES = list(rules.RULES)
MESSAGES = {message for _, message in RULES}


def by_rule(error):
    return error["detail"] in MESSAGES


def same(problem):
    """Without indices: the server names the object that holds a list, the
    operator the entry."""
    return re.sub(r"\[\d*\]", "[]", problem)


def said_by_rules(answer):
    return {same(f"{e['field']}.{e['detail']}")
            for e in answer["errors"] if by_rule(e)}


KNOWN = {same(f"{where}.{message}".replace("[*]", "[]"))
         for where, message in RULES}


def disagreement(answer, problems):
    """Why the two do not agree on the rules; None when they do. The operator
    asks an object's rules only when all below it is in order, the server all
    of them unless something blocks."""
    texts = {same(p) for p in problems}
    theirs, ours = said_by_rules(answer), texts & KNOWN
    if answer["blocked"]:
        return None
    if ours - theirs:
        return f"only the operator says {sorted(ours - theirs)}"
    for said in sorted(theirs - ours):
        where = next(e["field"] for e in answer["errors"] if by_rule(e) and
                     same(f"{e['field']}.{e['detail']}") == said)
        if not any(p.startswith(same(where)) for p in texts):
            return f"only the server says {said}; the operator: {problems}"
    for e in answer["errors"]:
        if not by_rule(e) and not problems:
            return f"only the server says {e['text']}"
    return None


# ------------------------------------------------------------------- tests

def admitted(path):
    """What the server says of the CRD in that file."""
    return json.loads(subprocess.run([JUDGE, "crd", path], check=True,
                                     text=True, stdout=subprocess.PIPE).stdout)


def test_admission():
    a = admitted(CRD)
    result("a new API server admits it: structural, compiled, within the "
           "cost limits", [e["text"] for e in a["errors"]])
    result("the rules compile in Kubernetes 1.25 too",
           [f"{r['path']}: {r['message']}: {r['oldest']}"
            for r in a["rules"] if r["oldest"]])
    for r in sorted(a["rules"], key=lambda r: -r["cost"])[:5]:
        print(f"    {100 * r['cost'] / a['ruleLimit']:.3g} % of a rule's cost "
              f"limit: {r['path']}: {r['message']}", file=sys.stderr)
    total = sum(r["cost"] for r in a["rules"])
    print(f"    {100 * total / a['crdLimit']:.3g} % of the whole limit, "
          f"{len(a['rules'])} rules", file=sys.stderr)
    result("no cost grows with the largest request", [
        f"{r['path']}: {r['message']}" for r in a["rules"]
        if not r["bounded"]])
    there = {(r["path"], r["message"]) for r in a["rules"]}
    result("each rule has its cases", [
        f"no cases: {x}" for x in there - set(RULES)] + [
        f"no rule: {x}" for x in set(RULES) - there])


def test_judge_sees():
    """What is wrong with a CRD must not pass."""
    broken = {
        "a rule that does not compile":
            ("self.sites.all(s, self", "self.sites.all(s, sel", "undeclared"),
        "a field that no schema has":
            ("s.role == 'primary-candidate').size()",
             "s.roles == 'primary-candidate').size()", "undefined field"),
        "a list without a limit":
            ("                maxItems: 16\n                items:\n"
             "                  type: object", "                items:\n"
             "                  type: object", "cost"),
    }
    with open(CRD) as f:
        text = f.read()
    path = os.path.join(os.environ.get("TMPDIR", "/var/tmp"),
                        f"br-crd-{os.getpid()}.yaml")
    for name, (old, new, said) in broken.items():
        assert text.count(old) >= 1, name
        with open(path, "w") as f:
            f.write(text.replace(old, new, 1))
        try:
            errors = [e["text"] for e in admitted(path)["errors"]]
        finally:
            os.unlink(path)
        result(f"the judge sees {name}",
               [] if any(said in e for e in errors) else [errors])


def test_rules():
    for (where, message), c in rules.RULES.items():
        good = [minimal(p) for p in c["pass"]]
        bad = [minimal(p) for p, _ in c["refuse"]]
        answers = server(good + bad)
        problems = operator([a["object"] for a in answers])
        wrong = []
        for p, a, said in zip(c["pass"], answers, problems):
            wrong += [f"{p}: refused: {e['text']}" for e in a["errors"]]
            wrong += [f"{p}: the operator says {s}" for s in said]
        n = len(good)
        for (p, field), a, said in zip(c["refuse"], answers[n:], problems[n:]):
            got = {(e["field"], e["detail"]) for e in a["errors"]}
            # A lease that is too short is so in comparison, too.
            if (field, message) not in got or not all(map(by_rule,
                                                          a["errors"])):
                wrong.append(f"{p}: {got or 'passed'}")
            want = re.escape(f"{field}.{message}").replace(
                r"\[\]", r"\[\d+\]")
            if not any(re.fullmatch(want, s) for s in said) or \
                    {same(s) for s in said} != said_by_rules(a):
                wrong.append(f"{p}: the operator says {said}")
        result(f"{where}.{message}: {len(good)} pass, {len(bad)} refused",
               wrong)


def unused(path):
    """What the file says that nobody acts on: "# unused: spec.a, spec.b"."""
    with open(path) as f:
        return re.split(r", |: |\n", f.readline())


def test_updates():
    reader = minimal(rules.site(2, **rules.READER))
    part = minimal(rules.site(2, **{**rules.READER, "role": "dr-only",
                                    "lbIP": "192.0.2.13"}))
    whole = minimal(rules.site(2, **{
        **rules.READER, "role": "dr-only", "lbIP": "192.0.2.13",
        "taintNodeSelector": {"a": "b"}}))
    a, b = server([(part, reader), (whole, reader)])
    result("a reader gets another role once it has what that needs", [
        e["text"] for e in b["errors"]] + ([] if said_by_rules(a) else [
            f"{a['errors']}"]))
    # Made before its rule was known to the API server.
    old = minimal(rules.sidecar(leaseTimeout="2s"))
    touched, changed, mended = (copy.deepcopy(old) for _ in range(3))
    touched["metadata"]["finalizers"] = ["shipstream.io/graceful-shutdown"]
    touched["status"] = {"activeSite": "a"}
    changed["spec"]["sidecar"]["peerCheckInterval"] = "2s"
    a, b = server([(touched, old), (changed, old)])
    result("a group that broke a rule before the server knew it can be written "
           "to elsewhere", [e["text"] for e in a["errors"]] + (
               [] if said_by_rules(b) else [f"{b['errors']}"]))
    # What mysqlfailovergroup(5) says of those servers.
    mended["spec"]["sidecar"]["leaseTimeout"] = "20s"
    a, b = server([(touched, old), (mended, old)], ratchet=False)
    result("before Kubernetes 1.30 it can only be mended", [
        e["text"] for e in b["errors"]] + (
            [] if said_by_rules(a) else [f"{a['errors']}"]))


def test_status():
    o = minimal()
    with open(TOP + "/regress/render/golden/status.json") as f:
        o["status"] = json.load(f)
    (a,) = server([o])
    result("the operator's status is admitted whole", [
        e["text"] for e in a["errors"]] + a["pruned"] + (
            [] if a["object"]["status"] == o["status"] else ["defaulted"]))


def test_manifests():
    files = sorted(glob.glob(GOOD + "/*.yaml"))
    answers = server([manifest(f) for f in files])
    result(f"the {len(files)} good manifests pass", [
        f"{os.path.basename(f)}: {e['text']}"
        for f, a in zip(files, answers) for e in a["errors"]] + [
        f"{os.path.basename(f)}: {p} is unknown"
        for f, a in zip(files, answers) for p in a["pruned"]
        if same(p) not in unused(f)])
    files = cases.files()
    objects = [manifest(f) for f in files]
    answers = server(objects)
    wrong, refused, ruled = [], 0, 0
    for f, a, p in zip(files, answers, operator(objects, runs=False)):
        name = os.path.basename(f)
        refused += bool(a["errors"])
        if not p:
            wrong.append(f"{name}: the operator takes it")
        ruled += bool(said_by_rules(a))
        d = disagreement(a, p)
        if d:
            wrong.append(f"{name}: {d}")
        for e in a["errors"]:
            if not by_rule(e) and "rule" in e["detail"] and \
                    not e["detail"].startswith(BLOCKED):
                wrong.append(f"{name}: {e['text']}")
    result(f"{len(files)} bad manifests: the server refuses {refused}, {ruled} "
           "by a rule; both agree on each rule", wrong)


def test_random():
    seed = int(os.environ.get("SEED", "1"))
    count = int(os.environ.get("SPECS", "2000"))
    s = specs.Specs(manifest(CRD), random.Random(seed))
    objects = []
    for i in range(count):
        o = minimal()
        o["spec"] = s.make((0, 0.02, 0.2)[i % 3])
        objects.append(o)
    answers = server(objects)
    problems = operator([a["object"] for a in answers])
    wrong, ruled, passed = [], set(), 0
    for i, (a, p) in enumerate(zip(answers, problems)):
        d = disagreement(a, p)
        ruled |= said_by_rules(a)
        passed += not a["errors"]
        if d:
            wrong.append(f"spec {i}: {d}")
    if count >= 500 and len(ruled) < 10:
        wrong.append(f"only {len(ruled)} rules were broken: {ruled}")
    result(f"{count} random specs (seed {seed}): {passed} pass, {len(ruled)} "
           "rules refuse some; both agree on each rule", wrong)


for t in [v for k, v in list(globals().items()) if k.startswith("test_")]:
    t()
sys.exit(1 if failed else 0)
