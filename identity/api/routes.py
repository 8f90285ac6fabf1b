"""Add all routes of identity to a router.

Elsewhere: settings, access control, processes and the application itself (`service`).
"""

from __future__ import annotations

from fastapi import APIRouter

from identity.api.changes import add_change_routes
from identity.api.cids import add_cid_routes
from identity.api.crosswalk import add_crosswalk_routes
from identity.api.doors import Doors
from identity.api.lookups import add_lookup_routes
from identity.api.records import add_record_routes
from identity.api.reports import add_report_routes
from identity.api.sources import add_source_routes
from identity.api.stewards import add_steward_routes
from identity.api.subscribers import add_subscriber_routes

__all__ = ["add_identity_routes"]


def add_identity_routes(router: APIRouter, doors: Doors) -> None:
    """Add all routes of identity to `router`; the hottest first, since routes are tried in order."""
    add_lookup_routes(router, doors)
    add_record_routes(router, doors)
    add_cid_routes(router, doors)
    add_steward_routes(router, doors)
    add_report_routes(router, doors)
    add_change_routes(router, doors)
    add_crosswalk_routes(router, doors)
    add_subscriber_routes(router, doors)
    add_source_routes(router, doors)
