"""Approach 3: a CRM's rows get their CIDs without asking, and consumers join on them."""
