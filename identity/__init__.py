"""Identity: who holds which CID, since when, and why."""
