"""The command line's commands, a file a family.

Words and options in; calls of the wings below, and what people (``terminal``) or machines
(``--json``) read, out.
"""
