"""Approach 3: a CRM's rows get their CIDs without asking; its product is published up to the watermark."""
