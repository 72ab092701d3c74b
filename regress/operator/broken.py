"""Secrets that are broken are told by key, and nothing is made meanwhile."""
import concurrent.futures

import __main__ as t
import secrets_bad
from cluster import eprint, wait_for


def several(jobs, workers=4):
    """Each job's answer; all that failed in one message."""
    wrong, count = [], {}
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for f in [pool.submit(fn, *a) for fn, *a in jobs]:
            try:
                how = f.result()
                count[how] = count.get(how, 0) + 1
            except AssertionError as e:
                wrong.append(str(e))
    assert not wrong, f"{len(wrong)} of {len(jobs)}:\n" + "\n".join(wrong)
    return count


def reported(what, ns, o, want):
    """The group is made, and told so; nothing else is made, and it can go."""
    name = o["metadata"]["name"]
    uid = t.c.create(t.API % ns, o)["metadata"]["uid"]
    for w in want:
        try:
            wait_for(f"{what}: told {w!r}", 60,
                     lambda w=w: t.is_told(ns, name, uid, w))
        except AssertionError as e:
            raise AssertionError(f"{e}: {t.told(ns, name, uid)}") from None
    assert not t.names(ns), f"{what}: acted on all the same"
    t.away(ns, name)


def one_secret(name, secrets, more, want):
    ns = "sec-" + name.lower()
    t.namespace(ns)
    for s, data in secrets.items():
        t.secret(ns, s, data)
    spec = {"image": "mysql:9.7",
            "sites": [t.site("iad", "192.0.2.1"), t.site("pdx", "192.0.2.2")],
            "credentials": {"operatorSecret": "op"},
            "dns": {"hostname": "db.example.net", "ttl": 60}}
    spec.update(more)
    reported(name, ns, t.group(ns, "g", {
        k: v for k, v in spec.items() if v is not None}), [want])
    return "reported"


@t.test
def test_bad_secrets():
    """Secrets that are missing or broken, each told by Secret and key in a
    condition and an Event, and nothing is made meanwhile."""
    table = secrets_bad.SECRETS
    count = several([(one_secret, *s) for s in table])
    eprint(f"    {len(table)} cases: {count}")
