"""A trained network in; the same in other programs' formats, out."""
