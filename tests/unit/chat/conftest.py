"""A real PostgreSQL with the real schema, as for videos."""

from tests.unit.videos.conftest import _quiet as _quiet
from tests.unit.videos.conftest import database_url as database_url
from tests.unit.videos.conftest import db as db
