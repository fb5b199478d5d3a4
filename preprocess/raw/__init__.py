"""A folder of raw files and its card in, the list of its recordings out: identity, class, place."""
