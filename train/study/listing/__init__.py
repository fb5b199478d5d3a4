"""Runs found again: which directories below a folder are runs, and what each is; no torch."""
