"""Limits per key, user and team that hold across all server processes.

What was taken under a limit is one row. A process reads it, decides by plain rules (`core/rates.py`), and writes it
back if nobody else did meanwhile (`exchange.py`). Large limits are taken in chunks that last a second (`rate.py`),
slots of parallel limits are held by processes that say every second that they live (`slots.py`).
"""
