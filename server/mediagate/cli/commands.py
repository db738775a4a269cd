"""What the server adds to the command line, which belongs to the client: name, where it is, and its line in the help.

The client looks for this table where the server is installed, and loads a command when it is called.
"""

from __future__ import annotations

from typing import Final

COMMANDS: Final = {
    "dev": ("mediagate.cli.dev:dev", "Run everything on this machine, with a database of its own, until Ctrl-C."),
    "serve": ("mediagate.cli.serve:serve", "Serve in production; jobs run in `worker`."),
    "worker": ("mediagate.cli.worker:worker", "Run background jobs until SIGTERM: videos, deletes, expiry."),
    "migrate": ("mediagate.cli.migrate:migrate", "Bring the database's schema to the revision of this version."),
    "check-config": ("mediagate.cli.check_config:check_config", "Say what is wrong with a config file."),
    "retention": ("mediagate.cli.retention:retention", "Keep the life-cycle rules of buckets."),
    "reconcile": ("mediagate.cli.reconcile:reconcile", "Compare stores with the database, and mend them."),
    "healthcheck": ("mediagate.cli.healthcheck:healthcheck", "Exit with 0 if the server is ready and with 5 if not."),
    "version": ("mediagate.cli.version:version", "Print the version."),
}
