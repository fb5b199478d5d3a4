"""Stage one: raw recordings and their static twins in, a sealed frame cache out (no torch)."""
