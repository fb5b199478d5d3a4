"""Shipped sweeps: one TOML file each, read by :func:`snntx.train.sweep.load_sweep`."""
