"""mediagate: one OpenAI-shaped gateway for files and generated videos."""

from importlib.metadata import version

__version__ = version("mediagate")
