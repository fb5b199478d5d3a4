"""One module a raw format, named as the format is."""
