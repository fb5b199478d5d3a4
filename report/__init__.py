"""Runs, and what was measured of them, in; one page that explains them out."""
