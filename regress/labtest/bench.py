"""bench.py failover|restart RUNS, or isolation|takeover|footprint OPTION... : inside
the lab, see regress/bench."""
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(HERE, "lib"), HERE]

import b_failover  # noqa: E402
import b_footprint  # noqa: E402
import b_isolation  # noqa: E402
import b_takeover  # noqa: E402

MAIN = {"failover": b_failover.main, "restart": b_failover.main,
        "footprint": b_footprint.main,
        "isolation": b_isolation.main, "takeover": b_takeover.main}
sys.exit(MAIN[sys.argv[1]](*sys.argv[1:]))
