"""Card, cache and recipe in, a trained run directory out."""
