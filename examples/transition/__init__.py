"""Approaches 1 and 2: products look CIDs up, and what that costs."""
