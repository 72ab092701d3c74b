"""Random specs that the schema admits, one after the other on the same groups:
refused by a field's name, or made true; never a crash.

SEED and SPECS in the environment: of which, and how many.
"""
import json
import os
import random
import re
import time

import __main__ as t
import secrets_bad as sb
import specs
import yaml
from cluster import Answer, eprint, wait_for

NS = t.NS
EDITS = 4                       # specs of each group, the first one included
FIELD = re.compile(r"(spec[.:]|metadata\.)")
TLS = dict(sb.TLS, secretName="certs")


def crd():
    with open(os.path.join(t.HERE,
                           "../../crds/mysqlfailovergroups.yaml")) as f:
        return yaml.safe_load(f)


class Group:
    def __init__(self, i, gen):
        self.name, self.gen = "g%d" % i, gen
        self.wild = [0, 0.01, 0.02, 0.15][i % 4]
        self.spec = self.valid = None   # as the API server took it, has it
        self.generation = 0
        self.made = set()       # Deployments of the last spec in force
        self.how = None         # what became of the last spec

    def next(self):
        if self.spec is None:
            return self.gen.make(self.wild)
        # From what was in force: else few are valid any more.
        base = self.valid or self.spec
        if self.gen.r.random() < 0.1:
            return self.gen.make(self.wild)
        return self.gen.edit(base, self.wild, TLS)

    def put(self, spec):
        path = t.API % NS
        if self.spec is None:
            return t.c.create(path, t.group(NS, self.name, spec))
        return t.c.replace(f"{path}/{self.name}",
                           lambda o: o.update(spec=spec))

    def give(self, spec):
        """To the API server; False when it refuses it, for a field."""
        try:
            o = self.put(spec)
        except Answer as e:
            assert e.status in (400, 422) and "spec." in e.message, \
                f"{self.name}: {e.message}\n{json.dumps(spec)}"
            return False
        self.spec, self.generation = o["spec"], o["metadata"]["generation"]
        return True

    # ------------------------------------------------------------- verdict

    def verdict(self, o, have, events):
        """What became of the spec; None while nobody knows."""
        cond = {x["type"]: x for x in
                (o.get("status") or {}).get("conditions") or []}

        def is_(name, status):
            x = cond.get(name)
            return x is not None and x["status"] == status and \
                x["observedGeneration"] == self.generation
        if is_("SpecValid", "False"):
            # What was in force stays so.
            return "invalid" if FIELD.match(cond["SpecValid"]["message"]) and \
                any(x.startswith("InvalidSpec: ") and FIELD.search(x)
                    for x in events) and have >= self.made else None
        if not is_("SpecValid", "True"):
            return None
        self.valid = self.spec
        if is_("CredentialsValid", "False"):
            return "credentials" if re.search(
                r"Secret \S+[ ,(]", cond["CredentialsValid"]["message"]) else \
                None
        if "tls" in self.spec and not is_("TLSValid", "True"):
            return "certificate" if is_("TLSValid", "False") and re.match(
                r"(Secret\w+: )?Secret \S+", cond["TLSValid"]["message"]) \
                else None
        if is_("ObjectsApplied", "False"):
            self.made = have
            return "apply" if re.search(
                r"\w+ \S+: ", cond["ObjectsApplied"]["message"]) else None
        if not is_("ObjectsApplied", "True") or "Ready" not in cond or \
                cond["Ready"]["observedGeneration"] != self.generation:
            return None
        if have != {"mysql-%s-%s" % (self.name, s["name"])
                    for s in self.spec["sites"]}:
            return None
        self.made = have
        return "applied"


class World:
    """All groups, Deployments and Events as they are now, in three requests."""

    def __init__(self):
        def items(path):
            return t.c.get(path)["items"]
        self.groups = {o["metadata"]["name"]: o for o in items(t.API % NS)}
        self.have, self.events = {}, {}
        for o in items(t.APPS % NS):
            name = o["metadata"]["ownerReferences"][0]["name"]
            self.have.setdefault(name, set()).add(o["metadata"]["name"])
        for e in items((t.CORE % NS) + "events"):
            self.events.setdefault(e["involvedObject"].get("name"), []).append(
                "%s: %s" % (e["reason"], e.get("message")))


def judge(groups, seconds):
    """{group: verdict} of those that have one in time."""
    out = {}

    def look():
        w = World()
        for g in groups:
            v = g not in out and g.verdict(
                w.groups[g.name], w.have.get(g.name, set()),
                w.events.get(g.name, []))
            if v:
                out[g] = v
        time.sleep(0.3)         # beside what is asked about
        return len(out) == len(groups)
    try:
        wait_for("verdicts", seconds, look)
    except AssertionError:
        pass
    return out


def unknown(g):
    o = t.c.get(f"{t.API % NS}/{g.name}")
    return "%s: no verdict of generation %d: %s; Deployments of %s\n%s" % (
        g.name, g.generation, t.conditions(o),
        World().have.get(g.name), json.dumps(g.spec))


def one_wave(groups, count, wrong):
    """A spec for each; those that nobody can tell about go out."""
    given = []
    for g in groups:
        if g.give(g.next()):
            given.append(g)
        else:
            count["refused by the API server"] = count.get(
                "refused by the API server", 0) + 1
    told = judge(given, 90)
    for g in given:
        how = g.how = told.get(g)
        if how is None:
            wrong.append(unknown(g))
            how = "nobody knows"
        count[how] = count.get(how, 0) + 1
    t.c.check_workers()


@t.test
def test_random_specs():
    """Refused with a field's name, or made true, on groups that live."""
    seed = int(os.environ.get("SEED", "20261126"))
    n = int(os.environ.get("SPECS", "200"))
    gen = specs.Specs(crd(), random.Random(seed))
    for name, data in (("op", dict(sb.OP, dsn="op:pw@tcp(db:3306)/")),
                       ("some-secret", sb.APP),
                       ("other.secret", dict(sb.APP, username="other")),
                       ("certs", sb.good_certificate("*.%s" % NS +
                                                     ".svc.cluster.local"))):
        t.secret(NS, name, data)
    groups = [Group(i, gen) for i in range(n // EDITS)]
    count, wrong = {}, []
    for _ in range(EDITS):
        t0 = time.monotonic()
        one_wave(groups, count, wrong)
        eprint("    %d specs: %.1f s" % (len(groups), time.monotonic() - t0))
    eprint(f"    seed {seed}: {count}")
    assert not wrong, "\n".join(wrong)
    assert count["applied"] >= n // 4, "too few were valid"
    assert n - count["applied"] >= n // 5, "too few were not"
