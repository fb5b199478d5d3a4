"""Addresses and checksums in, files and unpacked archives out, or one line why not."""
