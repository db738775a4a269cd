"""`python -m mediagate_client.cli`."""

from mediagate_client.cli.main import main

main()
