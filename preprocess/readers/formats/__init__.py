"""One module a raw format, named as the format is, with one reader that registers itself."""
