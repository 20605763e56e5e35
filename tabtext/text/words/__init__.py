"""Cutting texts into words exactly as spaCy does, each distinct piece once."""
