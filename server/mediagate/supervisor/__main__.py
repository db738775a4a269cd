"""`python -m mediagate.supervisor`: run the plan that the environment holds."""

from __future__ import annotations

import os
import sys

from mediagate.supervisor.plan import PLAN_VARIABLE, Plan
from mediagate.supervisor.runner import Supervisor


def main() -> int:
    """Run the plan until a signal ends it."""
    plan = Plan.from_json(os.environ.pop(PLAN_VARIABLE))
    for descriptor in plan.lock_fds:
        os.set_inheritable(descriptor, False)
    return Supervisor(plan).run()


if __name__ == "__main__":
    sys.exit(main())
