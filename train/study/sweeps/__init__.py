"""Shipped sweeps: one TOML file each, read by :func:`snntx.train.study.sweep.load_sweep`."""
