"""Secrets that are broken are told by key, and nothing is made meanwhile."""
import __main__ as t
import secrets_bad
from cluster import eprint, several, wait_for


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
