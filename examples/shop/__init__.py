"""Approach 4: a web shop asks for the CID while it creates a customer, and has it as its own key."""
