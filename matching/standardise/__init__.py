"""Standardise customer attributes, pure: every spelling of a value becomes the one that is compared.

Invariant: the profile is ASCII, sorted and free of empty values; junk never reaches it. The same
attributes always give the same profile: no clock, no environment, no external service.
Elsewhere: which profiles are candidates (`matching.block`) and how they compare (`matching.compare`).
"""

from __future__ import annotations

from matching.standardise.record import AttributeWarning, Standardised, standardise, standardise_clean
from matching.standardise.statement import clean_attributes

__all__ = ["AttributeWarning", "Standardised", "clean_attributes", "standardise", "standardise_clean"]
