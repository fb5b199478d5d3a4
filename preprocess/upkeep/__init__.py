"""Caches on disk in; what they are, whether they are whole, and their removal out."""
