"""Sweeps: the shipped ones, one TOML file each, and how a sweep becomes runs."""
