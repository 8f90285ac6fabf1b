"""Matching: which records stand for the same customer."""
