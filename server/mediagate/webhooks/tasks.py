"""Name of the job that webhooks need; `mediagate.jobs` gives it its code."""

DELIVER_WEBHOOKS = "webhooks.deliver"

WEBHOOK_QUEUE = "webhooks"
"""Jobs that wait for servers of callers, and hold up nothing of ours."""

WEBHOOK_RETRY_QUEUE = "webhooks_retry"
"""The same for servers that failed the last time, and hold up nobody else."""
