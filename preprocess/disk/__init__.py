"""What knows nothing of events: files listed, hashed, locked, and written whole or not at all.

In: paths and bytes. Out: names, digests, HDF5 files that are either whole or absent.
"""
