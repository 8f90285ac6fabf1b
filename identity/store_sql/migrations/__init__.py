"""Alembic's folder: its entry and the steps."""
