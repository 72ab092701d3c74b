#!/usr/bin/env python3
"""logs.py BUILD_DIR : holds bloodraven-log(5) against the code.

Every call of log_ev() and log_kv() in src/ and privsep/ is read from what the
compiler's preprocessor makes of it, so that neither formatting nor macros hide
one: message, levels and keys must be literals there. The page lists the same
events, level for level and field for field. The reference's records are each
written as they are, or are among those that the page says are not written.
Then the check itself is checked: each kind of difference, put in on purpose,
must be found.
"""
import functools
import glob
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.realpath(__file__))))
PAGE = os.path.join(TOP, "man", "bloodraven-log.5")
LIBS = ("libbsd-overlay libevent msgpack libcurl yyjson mysqlclient "
        "libsodium libcrypto libseccomp").split()
LEVELS = ["DEBUG", "INFO", "WARN", "ERROR"]

# Who writes what a file logs; the first that matches.
OWNERS = [
    (r"privsep/", "all"),
    (r"src/(link|http_app|http_conn|metrics|promise|wire|keys)[^/]*\.c$",
     "all"),
    (r"src/guard[^/]*\.c$", "guard"),
    (r"src/sidecar[^/]*\.c$", "sidecar"),
    (r"src/", "operator"),
]

# Messages that come as an argument: the expression, and where the literals
# that reach it stand.
PASSED_ON = {
    ("src/http_app.c", "ha . app -> event"):
        [("aux http", "src/http.c"), ("http request", "src/sidecar_http.c")],
    ("src/http_app.c", "msg"):
        [("starting metrics HTTP server", "src/http.c"),
         ("starting probe HTTP server", "src/http.c"),
         ("starting auxiliary HTTP server", "src/http.c"),
         ("starting sidecar HTTP server", "src/sidecar_http.c")],
}

# Written without log_kv(): by the reporter of a signal handler, and by log.c
# itself. The words must stand in that file.
RAW = {
    "sandboxViolation": ("all", ["WARN", "ERROR"], "privsep/seccomp_trap.c"),
    "cont": ("all", LEVELS, "privsep/log.c"),
}
RAW_FIELDS = {"cont": ["digest", "part", "parts", "data"]}

# The reference's records of the parts that are built (observability.md, 3.3 to
# 3.8 and 3.12), which pipelines match on: who writes it, level, message, fields
# beside pod. Ours may have more fields, and more levels.
CONTRACT = """
operator INFO "initiating failover" fg candidate oldPrimary
operator INFO "failover complete" fg promotedSite promotionGtid
operator INFO "promotion confirmed: site is writable" fg site
operator ERROR "failover failed" fg error
operator ERROR "promotion succeeded but writable confirmation failed; DNS not flipped" fg site error
operator ERROR "DNS flip failed after successful promotion" fg site error
operator WARN "DNS reconcile failed" fg site target error
operator INFO "DNS reconciled to active site" fg site target
operator INFO "fenced old primary with super_read_only=ON" fg
operator WARN "failed to fence old primary (may be unreachable)" fg error
operator INFO "killed app connections on old primary" fg count
operator WARN "failed to kill app connections on old primary" fg error
operator INFO "relay log drain complete" fg
operator WARN "relay log drain did not complete cleanly, proceeding with promotion" fg error
operator INFO "initiating old primary recovery" fg oldPrimary newPrimary
operator INFO "no GTID divergence, auto-recovering old primary as replica" fg site
operator WARN "divergence detected" fg site divergentTransactions divergentGtid oldPrimaryGtid newPrimaryGtid
operator INFO "old primary recovery complete" fg site source
operator ERROR "old primary recovery failed" fg site error
operator INFO "recovery state cleared (site is now replicating)" fg site
operator INFO "recovery state cleared (site is writable)" fg site
operator INFO "replication source convergence started" fg site activeSite currentSource expectedSource
operator INFO "replication source convergence complete" fg site source
operator WARN "replication source convergence blocked" fg site activeSite stage followerGtid activeGtid
operator ERROR "replication source convergence failed" fg site activeSite stage error
operator INFO "starting bootstrap" fg source donor recipient donorHost
operator INFO "cloning from primary" fg donor
operator INFO "clone completed successfully" fg replica
operator INFO "setting up replication" fg source
operator INFO "replication started successfully" fg source
operator INFO "bootstrap completed successfully" fg source
operator ERROR "bootstrap failed" fg source error
operator INFO "clone returned expected connection drop, waiting for restart" fg error
operator INFO "replica already has primary data (prior clone detected), skipping clone phase" fg
operator INFO "state transition" fg site from to
operator WARN "ALERT" fg message
operator WARN "split-brain auto-resolve: fencing non-preferred site per spec.splitBrainPolicy.sitePriorities" fg winner fencedSite
operator INFO "fencing returning old primary (split brain after failover)" fg site
operator ERROR "failed to fence returning old primary" fg site error
operator INFO "post-fence application connections evicted" fg site count
operator WARN "post-fence application connection drain retry failed" fg site error
operator INFO "post-fence application connection drain complete" fg site
operator WARN "post-fence application connection drain timed out" fg site timeout
operator WARN "re-asserting fenced promoted primary: no site is writable and the last failover target is GTID-complete; restoring writability" fg site
operator WARN "primary re-assert refused: peer has transactions the target lacks — divergence needs human review" fg site peerGtid targetGtid
operator WARN "primary re-assert refused: target no longer contains the recorded promotion GTID set (wiped or restored since promotion?)" fg site promotionGtid targetGtid
operator WARN "primary re-assert refused: recorded promotion GTID set failed to parse — status corrupted or manually edited?" fg site promotionGtid error
operator INFO "failover blocked by anti-flap cooldown" fg lastFailover cooldown
operator WARN "ignored out-of-order local failover record" fg target lastFailover currentTarget currentLastFailover
operator ERROR "out-of-band anti-flap state write failed; retrying every poll" fg target lastFailover error
operator INFO "cross-site action deferred: in-place restore in progress" fg
operator INFO "cross-site action deferred: planned failover in progress" fg
sidecar,guard ERROR "SELF-FENCING: topology mismatch — operator-authoritative active site disagrees with our site, setting super_read_only=ON" site authoritativeActiveSite observedAt
sidecar,guard ERROR "SELF-FENCING: Bloodraven and every peer unreachable beyond lease timeout, setting super_read_only=ON" bloodravenLastOk latestPeerOk peers leaseTimeout
sidecar,guard INFO "SELF-FENCING: killed app connections" count
sidecar,guard WARN "SELF-FENCING: failed to kill connections after fencing" error count
sidecar,guard WARN "SELF-FENCING: super_read_only write failed but the fence is in place; skipping connection eviction" error
sidecar,guard ERROR "SELF-FENCING: super_read_only write outcome is unconfirmed; will probe again" error probeError
sidecar,guard WARN "fencing: could not resolve pending super_read_only write" error
sidecar,guard WARN "SELF-FENCING: previously unconfirmed super_read_only write is now confirmed"
sidecar,guard ERROR "SELF-FENCING FAILED: could not set super_read_only" error
sidecar,guard WARN "fencing: could not confirm whether the super_read_only write landed" error
sidecar,guard ERROR "SELF-FENCED: super_read_only=ON has been set, only Bloodraven can restore"
sidecar,guard INFO "fencing: MySQL is writable after prior self-fence; rearming monitor"
sidecar,guard INFO "fencing: adopted active-site view from peer" peer activeSite observedAt
sidecar,guard INFO "safety net: set super_read_only=ON as precaution on startup"
sidecar,guard INFO "safety net: this is the active site, clearing super_read_only" site
sidecar,guard INFO "safety net: confirmed standby site, staying fenced" site activeSite
sidecar,guard INFO "safety net: no active site reported by operator, staying fenced"
sidecar,guard WARN "safety net: could not query active site, staying fenced" error
sidecar,guard ERROR "safety net: failed to clear super_read_only on active site" error
operator INFO "starting bloodraven manager"
operator INFO "starting auxiliary HTTP server" addr
operator INFO "topology manager runner starting"
operator INFO "starting topology manager" fg
operator INFO "topology manager stopped" fg
operator INFO "stopping topology manager" fg
operator INFO "config changed, restarting topology manager" fg
operator INFO "restored lastFailoverTarget from CR status" fg target
operator INFO "restored lastFailover from CR status" fg lastFailover
operator INFO "starting graceful shutdown" fg
operator INFO "CR deleted — DNSEndpoint will be garbage-collected"
operator INFO "sidecar image version differs from the operator" operatorImage sidecarImage operatorTag sidecarTag
operator WARN "restored lastFailoverTarget from out-of-band annotations" fg target statusTarget
operator WARN "restored lastFailover from out-of-band annotations" fg lastFailover statusLastFailover
operator ERROR "out-of-band anti-flap annotation unreadable; falling back to CR status" fg error
operator ERROR "CR status anti-flap state unreadable; ignoring unsafe copy" fg error
operator INFO "aux http" method path handler status duration_ms remote
sidecar INFO "sidecar starting" listenAddr peerAddresses bloodravenAddress leaseTimeout peerCheckInterval site namespace
sidecar INFO "sidecar stopped"
sidecar INFO "received signal, shutting down" signal
"""
NOT_WRITTEN = ".Sh RECORDS OF THE REFERENCE THAT ARE NOT WRITTEN"

# Keys that are not camelCase, by observability.md section 3.2.
SNAKE = {"duration_ms"}

TOKEN = re.compile(r'''(?P<mark>^\#[^\n]*$)
    |(?P<str>"(?:\\.|[^"\\\n])*")
    |(?P<chr>'(?:\\.|[^'\\\n])*')
    |(?P<word>[A-Za-z_][A-Za-z_0-9]*)
    |(?P<num>\.?[0-9](?:[eEpP][+-]|[\w.])*)
    |(?P<punct>->|\S)''', re.M | re.X)


class Bad(Exception):
    pass


def say(ok, what, details=()):
    for d in details:
        print("    " + d, file=sys.stderr)
    print("%s - %s" % ("ok" if ok else "not ok", what))
    return ok


# --- the code ------------------------------------------------------------------

def flags(build):
    out = []
    for lib in LIBS:
        r = subprocess.run(["pkg-config", "--cflags", lib],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           universal_newlines=True)
        out += r.stdout.split()
    return out + ["-std=gnu11", "-include", os.path.join(build, "config.h"),
                  "-D_GNU_SOURCE", "-iquote", "privsep", "-iquote", "src"]


def preprocess(path, cflags):
    r = subprocess.run(["gcc", "-E"] + cflags + [path], cwd=TOP,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       universal_newlines=True)
    if r.returncode != 0:
        raise Bad("%s: %s" % (path, r.stderr.strip()[-400:]))
    return ours(r.stdout)


def ours(text):
    """The lines of files of the tree alone: most are of system headers."""
    out, keep = [], False
    for line in text.split("\n"):
        mark = re.match(r'# \d+ "([^"]*)"', line)
        if mark:
            keep = not mark.group(1).startswith(("/", "<"))
        if keep:
            out.append(line)
    return "\n".join(out)


def tokens(text):
    """(kind, text, file, line)"""
    where, line, at, out = "", 0, 0, []
    for m in TOKEN.finditer(text):
        line += text.count("\n", at, m.start())
        at = m.start()
        if m.lastgroup == "mark":
            mark = re.match(r'# (\d+) "([^"]*)"', m.group())
            if mark:
                where, line = mark.group(2), int(mark.group(1)) - 1
            continue
        out.append((m.lastgroup, m.group(), where, line))
    return out


def closing(toks, i):
    """Index of the bracket that closes the one at i."""
    depth = 0
    for k in range(i, len(toks)):
        if toks[k][1] in "([{" and toks[k][0] == "punct":
            depth += 1
        elif toks[k][1] in ")]}" and toks[k][0] == "punct":
            depth -= 1
            if depth == 0:
                return k
    raise Bad("%s:%d: bracket is not closed" % toks[i][2:])


def arguments(toks):
    out, depth = [[]], 0
    for t in toks:
        if t[0] == "punct" and t[1] in "([{":
            depth += 1
        if t[0] == "punct" and t[1] in ")]}":
            depth -= 1
        if t[1] == "," and depth == 0:
            out.append([])
        else:
            out[-1].append(t)
    return out


def bare(toks):
    """Without the brackets around all of it."""
    while toks and toks[0][1] == "(" and closing(toks, 0) == len(toks) - 1:
        toks = toks[1:-1]
    return toks


def plain(toks):
    return " ".join(t[1] for t in toks)


ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


def literal(toks):
    """The text of adjacent string literals, None when it is none."""
    if not toks or any(t[0] != "str" for t in toks):
        return None
    return "".join(re.sub(r"\\(.)", lambda m: ESCAPES.get(m.group(1), "?"),
                          t[1][1:-1]) for t in toks)


def ways(toks, leaf):
    """[(conditions, value)] of an expression of ?: and leaves."""
    toks = bare(toks)
    depth = 0
    for q, t in enumerate(toks):
        depth += (t[1] in "([{") - (t[1] in ")]}") if t[0] == "punct" else 0
        if t[1] == "?" and depth == 0:
            break
    else:
        return [((), leaf(toks))]
    nest = 0
    for c in range(q + 1, len(toks)):
        t = toks[c][1]
        depth += (t in "([{") - (t in ")]}") if toks[c][0] == "punct" else 0
        if depth == 0 and t == "?":
            nest += 1
        if depth == 0 and t == ":":
            if nest == 0:
                break
            nest -= 1
    cond = plain(bare(toks[:q]))
    out = []
    for value, part in ((True, toks[q + 1:c]), (False, toks[c + 1:])):
        if (cond in ("0", "false") and value) or \
                (cond in ("1", "true") and not value):
            continue
        for conds, v in ways(part, leaf):
            out.append((((cond, value),) + conds, v))
    return out


def agree(a, b):
    d = dict(a)
    return all(d.get(c, v) == v for c, v in b)


class Events(dict):
    """(owner, msg) -> {"levels": set, "fields": set, "at": [place]}; kinds:
    what values each key has, and where: key -> {kind: place}"""

    def __init__(self):
        super().__init__()
        self.kinds = {}

    def add(self, owner, msg, level, fields, at):
        e = self.setdefault((owner, msg),
                            {"levels": set(), "fields": set(), "at": []})
        e["levels"].add(level)
        e["fields"] |= set(fields)
        e["at"].append(at)


def owner_of(path):
    return next(o for pat, o in OWNERS if re.match(pat, path))


# What the value of a pair becomes in JSON.
KINDS = {"KV_STR": "text", "KV_MS": "text", "KV_BOOL": "true or false",
         "KV_I64": "number", "KV_U64": "number"}


def fields_of(toks, at):
    """Keys of { .key = ("…"), .type = KV_…, … }, in a compound literal of
    struct kv, and the kind of each value."""
    body = bare(toks)
    if plain(body[:7]) != "( const struct kv [ ] )":
        raise Bad("%s: the pairs are not written out" % at)
    out, k = [], 7
    for k in range(7, len(body) - 2):
        if plain(body[k:k + 3]) != ". key =":
            continue
        end = k + 3
        if body[end][1] == "(":
            end = closing(body, end) + 1
        key = literal(bare(body[k + 3:end]))
        if key is None:
            raise Bad("%s: key %s is no literal" % (at, plain(body[k + 3:end])))
        if plain(body[end:end + 4]) != ", . type =" or \
                body[end + 4][1] not in KINDS:
            raise Bad("%s: key %s has no type" % (at, key))
        out.append((key, KINDS[body[end + 4][1]]))
    return out


def level_leaf(toks):
    if len(toks) == 1 and toks[0][1][:3] == "LL_" and toks[0][1][3:] in LEVELS:
        return toks[0][1][3:]
    raise Bad("level %s" % plain(toks))


@functools.lru_cache(None)
def calls(path, text):
    """Every call of log_kv in one preprocessed file: what Events.add() takes,
    and which messages were passed on."""
    events, seen = [], set()
    toks = tokens(text)
    for i, t in enumerate(toks[:-1]):
        if t[1] != "log_kv" or toks[i + 1][1] != "(":
            continue
        if i > 0 and toks[i - 1][1] == "void":
            continue        # its declaration, its definition
        at = "%s:%d" % t[2:]
        args = arguments(toks[i + 2:closing(toks, i + 1)])
        if len(args) != 3:
            raise Bad("%s: %d arguments" % (at, len(args)))
        fields = fields_of(args[2], at)

        def message(part):
            text = literal(part)
            if text is not None:
                return [text]
            known = PASSED_ON.get((path, plain(part)))
            if known is None:
                raise Bad("%s: message %s is no literal" % (at, plain(part)))
            seen.add((path, plain(part)))
            return [m for m, _ in known]

        try:
            levels = ways(args[0], level_leaf)
        except Bad as e:
            raise Bad("%s: %s" % (at, e))
        for mc, texts in ways(args[1], message):
            for lc, level in levels:
                for m in texts if agree(mc, lc) else ():
                    events.append((
                        owner_of(path) if len(texts) == 1 else
                        owner_of(dict(PASSED_ON[(path, plain(
                            bare(args[1])))])[m]), m, level, fields, at))
    return events, seen


def read_code(texts):
    """Events of all files, and what is wrong by itself."""
    events, seen, bad = Events(), set(), []
    for path, text in sorted(texts.items()):
        try:
            found, passed = calls(path, text)
            seen |= passed
            for owner, m, level, pairs, at in found:
                events.add(owner, m, level, [k for k, _ in pairs], at)
                for key, kind in pairs:
                    events.kinds.setdefault(key, {}).setdefault(kind, at)
        except Bad as e:
            bad.append(str(e))
    for key in PASSED_ON:
        if key not in seen:
            bad.append("%s: no message %s is passed on" % key)
        for m, where in PASSED_ON[key]:
            if '"%s"' % m not in open(os.path.join(TOP, where)).read():
                bad.append("%s: no \"%s\"" % (where, m))
    for m, (owner, levels, where) in RAW.items():
        src = open(os.path.join(TOP, where)).read()
        keys = RAW_FIELDS.get(m)
        if keys is None:    # ,\"key\": in its literals
            keys = [k for k in re.findall(r'[,{]\\"(\w+)\\":', src)
                    if k not in ("time", "level", "msg", "proc")]
        if '%s' % m not in src or any(k not in src for k in keys):
            bad.append("%s: nothing writes \"%s\" %s" % (where, m, keys))
        for level in levels:
            events.add(owner, m, level, keys, where)
    # Who indexes records by key takes the first kind, and drops the others.
    for key, kinds in sorted(events.kinds.items()):
        if len(kinds) > 1:
            bad.append("key %s is %s" % (key, ", ".join(
                "%s in %s" % k for k in sorted(kinds.items()))))
    for (owner, m), e in sorted(events.items()):
        for k in sorted(e["fields"]):
            if not re.match(r"[a-z][a-zA-Z0-9]*$", k) and k not in SNAKE:
                bad.append("%s: \"%s\": key %s is not camelCase" %
                           (e["at"][0], m, k))
        if "ERROR" in e["levels"] and "error" not in e["fields"] and \
                m not in RAW:
            bad.append("%s: \"%s\" is an ERROR without \"error\"" %
                       (e["at"][0], m))
    return events, bad


# --- the page ------------------------------------------------------------------

def unroff(s):
    for a, b in (("\\(em", "—"), ("\\&", ""), ("\\(aq", "'"), ("\\-", "-"),
                 ('""', '"'), ("\\e", "\\")):
        s = s.replace(a, b)
    return s


def read_page(text):
    """Events of the page: .It Dq "msg", .Sy LEVEL…, .Li field…, text."""
    events, bad, owner, now = Events(), [], None, None

    def end():
        if now is not None and not now["text"]:
            bad.append("\"%s\" says nothing" % now["msg"])

    for n, line in enumerate(text.split("\n"), 1):
        m = re.match(r'\.\\" events: (\w+)$', line)
        if m:
            owner = m.group(1)
            continue
        m = re.match(r'\.It Dq "(.*)"$', line)
        if m and owner not in (None, "none"):
            end()
            now = {"msg": unroff(m.group(1)), "text": False, "levels": None}
            if (owner, now["msg"]) in events:
                bad.append("line %d: \"%s\" is listed twice" % (n, now["msg"]))
            continue
        if now is None:
            continue
        if line == ".El":
            end()
            now = None
        elif now["levels"] is None:
            m = re.match(r"\.Sy ([A-Z ,]+?) ?([.:])$", line)
            if not m:
                bad.append("line %d: \"%s\" has no level" % (n, now["msg"]))
                now = None
                continue
            now["levels"] = m.group(1).replace(",", " ").split()
            for level in now["levels"]:
                events.add(owner, now["msg"], level, [], "line %d" % n)
            now["fields"] = m.group(2) == "."
        elif not now["fields"]:
            m = re.match(r"\.Li ([A-Za-z0-9_, ]+?) ([,.])$", line)
            if not m:
                bad.append("line %d: \"%s\" has no fields" % (n, now["msg"]))
            else:
                events[(owner, now["msg"])]["fields"] |= set(
                    m.group(1).replace(",", " ").split())
            now["fields"] = not m or m.group(2) == "."
        elif line.strip() and not line.startswith('.\\"'):
            now["text"] = True
    return events, bad


def compare(code, page):
    out = []
    for key in sorted(set(code) | set(page)):
        name = "%s: \"%s\"" % key
        if key not in page:
            e = code[key]
            out.append("%s is not in the page (%s, %s; %s)" % (
                name, " ".join(sorted(e["levels"])),
                " ".join(sorted(e["fields"])), e["at"][0]))
        elif key not in code:
            out.append("%s (%s) is written nowhere" % (name,
                                                      page[key]["at"][0]))
        else:
            c, p = code[key], page[key]
            for what in ("levels", "fields"):
                more, less = c[what] - p[what], p[what] - c[what]
                if more:
                    out.append("%s (%s): the page lacks %s %s" % (
                        name, c["at"][0], what, " ".join(sorted(more))))
                if less:
                    out.append("%s (%s): the code lacks %s %s" % (
                        name, p["at"][0], what, " ".join(sorted(less))))
    return out


# --- the contract --------------------------------------------------------------

def not_written(page):
    """How the messages begin that the page says are not written."""
    part = page.partition(NOT_WRITTEN + "\n")[2].partition("\n.Sh ")[0]
    return [unroff(t) for t in re.findall(r"^\.It Li (.*)$", part, re.M)]


def contract(code, page):
    bad, used, off = [], set(), not_written(page)
    for line in CONTRACT.strip().split("\n"):
        m = re.match(r'(\S+) (\w+) "(.*)" ?([\w ]*)$', line)
        if m is None:
            raise Bad("contract: %s" % line)
        owners, level, msg, fields = m.groups()
        ours = [code[(o, msg)] for o in owners.split(",") + ["all"]
                if (o, msg) in code]
        said = [t for t in off if msg.startswith(t)]
        used.update(said)
        if ours and said:
            bad.append("the reference's \"%s\" is written, and the page says "
                       "that it is not" % msg)
        elif not ours and not said:
            bad.append("the reference's \"%s\" is not written, and the page "
                       "does not say so" % msg)
        for e in ours:
            if level not in e["levels"]:
                bad.append("the reference's \"%s\" is %s (%s)" % (
                    msg, level, e["at"][0]))
            if not set(fields.split()) <= e["fields"] | {"pod"}:
                bad.append("the reference's \"%s\" has %s (%s)" % (
                    msg, fields, e["at"][0]))
    for t in sorted(set(off) - used):
        bad.append("the reference has no \"%s\"" % t)
    return bad


# --- is the check one? ---------------------------------------------------------

def mutants(texts, page):
    """(what, texts, page) with one difference each that must be found."""
    def source(path, old, new, count=1):
        if old not in texts[path]:
            raise Bad("mutant: %s has no %s" % (path, old))
        return dict(texts, **{path: texts[path].replace(old, new, count)})

    def paged(old, new):
        if old not in page:
            raise Bad("mutant: the page has no %s" % old)
        return page.replace(old, new, 1)

    stop, trail = "src/guard_stop.c", "src/group_trail.c"
    yield "a field is added", source(
        stop, '{ .key = ("signal")',
        '{ .key = ("more"), .type = KV_I64, .v.i = (1) }, '
        '{ .key = ("signal")'), page
    yield "a field is renamed", source(
        stop, '.key = ("signal")', '.key = ("sig")'), page
    yield "a key has two kinds of values", source(
        trail, '{ .key = ("count"), .type = KV_U64',
        '{ .key = ("count"), .type = KV_STR'), page
    yield "a message is reworded", source(
        trail, '"relay log drain complete"', '"relay drain complete"'), page
    yield "a level is changed", source(
        trail, '((LL_WARN), ("ALERT")', '((LL_INFO), ("ALERT")'), page
    yield "an event is new", source(
        trail, 'group_trail_reset(struct group *g)\n{',
        'group_trail_reset(struct group *g)\n{ log_kv((LL_INFO), ("new"), '
        '(const struct kv[]) { { .type = KV_END } });'), page
    yield "a message is no literal", source(
        trail, '("ALERT")', '(v.alert)'), page
    yield "a key is no literal", source(
        trail, '.key = ("fg")', '.key = (v.alert)'), page
    yield "an ERROR has no error", source(
        trail, '.key = ("error")', '.key = ("err")', 99), page
    yield "the page lacks an event", texts, paged(
        '.It Dq "relay log drain complete"', '.It Dq "state transition"')
    yield "the page does not say what is not written", texts, paged(
        ".It Li relay log drain did not", ".It Li relay log drain did")
    yield "what is written is said not to be", texts, paged(
        ".It Li relay log drain did not complete cleanly, proceeding with "
        "promotion", ".It Li relay log drain")
    yield "a record of the reference goes from code and page", source(
        trail, '"relay log drain complete"', '"drained"'), paged(
            '.It Dq "relay log drain complete"', '.It Dq "drained"')
    yield "the page has an event too many", texts, paged(
        '.It Dq "relay log drain complete"\n',
        '.It Dq "relay log drain begins"\n.Sy INFO .\nText.\n'
        '.It Dq "relay log drain complete"\n')
    yield "the page lacks a field", texts, re.sub(
        r'(\.It Dq "state transition"\n\.Sy INFO :\n\.Li .*), to\b', r"\1",
        page)
    yield "the page has another level", texts, paged(
        '.It Dq "state transition"\n.Sy INFO :',
        '.It Dq "state transition"\n.Sy WARN :')
    yield "the page does not say what to do", texts, re.sub(
        r'(\.It Dq "state transition"\n\.Sy .*\n\.Li .*\n)(?:[^.].*\n|'
        r'\.(?!It|El).*\n)*', r"\1", page)


def judge(texts, page):
    code, bad = read_code(texts)
    listed, more = read_page(page)
    return bad + more + compare(code, listed) + contract(code, page), \
        len(listed)


def main():
    build = os.path.abspath(sys.argv[1])
    files = sorted(os.path.relpath(f, TOP) for d in ("src", "privsep")
                   for f in glob.glob(os.path.join(TOP, d, "*.c")))
    cflags = flags(build)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        texts = dict(zip(files, pool.map(
            lambda f: preprocess(f, cflags), files)))
    page = open(PAGE).read()
    bad, n = judge(texts, page)
    ok = say(not bad, "bloodraven-log(5) against the code: %d events%s" % (
        n, ", %d differences" % len(bad) if bad else ""), bad)
    if n < 100:
        ok = say(False, "the page lists %d events only" % n)
    for what, t, p in mutants(texts, page):
        changed = t is not texts or p != page
        found = changed and len(judge(t, p)[0]) > len(bad)
        ok = say(found, "bloodraven-log(5): found when %s" % what) and ok
    return 0 if ok else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Bad as e:
        say(False, "bloodraven-log(5) against the code: %s" % e)
        sys.exit(1)
