"""A trained run or checkpoint in; its result on a test part, or on new recordings, out."""
