"""An index of the records whose component was taken at a stricter link threshold: few, and asked for by level."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0002"
down_revision = "0001"

_IS_STRICTER = sa.text("component_level > 0 AND component_id IS NOT NULL")


def upgrade() -> None:
    """Create it; on a large store that reads every record once."""
    op.create_index(
        "record_stricter",
        "record",
        ["component_level", "rid"],
        unique=False,
        sqlite_where=_IS_STRICTER,
        postgresql_where=_IS_STRICTER,
    )
