"""Files of plain columns, whose names a card gives: one module a format, as in the folder above."""
