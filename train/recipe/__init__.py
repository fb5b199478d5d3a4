"""Cards, files and ``--set`` in; one validated recipe that decides a whole training run out."""
