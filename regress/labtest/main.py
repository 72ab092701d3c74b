"""main.py [--full] [NAME...] : inside the lab's control network, see run."""
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(HERE, "lib"), HERE]

import bloodraven as op  # noqa: E402
import lab  # noqa: E402
import runner  # noqa: E402
import t_blips  # noqa: E402,F401
import t_bootstrap  # noqa: E402,F401
import t_clients  # noqa: E402,F401
import t_crash  # noqa: E402,F401
import t_fence  # noqa: E402,F401
import t_keys  # noqa: E402,F401
import t_manifests  # noqa: E402,F401
import t_metrics  # noqa: E402,F401
import t_node  # noqa: E402,F401
import t_operator  # noqa: E402,F401
import t_partition  # noqa: E402,F401
import t_sites  # noqa: E402,F401
import t_status  # noqa: E402,F401
import t_switch  # noqa: E402,F401
import t_taints  # noqa: E402,F401
import t_takeover  # noqa: E402,F401
import t_tls  # noqa: E402,F401
import t_uninstall  # noqa: E402,F401
import t_update  # noqa: E402,F401


def install():
    runner.progress("installing the operator")
    op.install()
    op.place(lab.NODES[0], lab.NODES[-1])
    op.wait_settled()
    op.wait_leader()


def main(args):
    full = "--full" in args
    names = [a for a in args if not a.startswith("-")]
    if "--list" in args:
        for e in sorted(runner.TESTS, key=lambda e: e["order"]):
            print(e["name"])
        return 0
    runner.choose(names, full)
    try:
        install()
    except Exception as x:
        runner.say("not ok - the operator is installed and leads: %s" % x)
        runner.T("install").artifacts()
        return 1
    runner.say("ok - the operator is installed and leads")
    return runner.main(names, full)


sys.exit(main(sys.argv[1:]))
