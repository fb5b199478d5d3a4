"""Run the command line: the program ``snntx``, and ``python -m snntx``.

Imports nothing by itself, so that a signal which comes while the command line is imported ends the
process as one that comes later does: in one line, with the signal's exit code.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from .commands.ending import decided, end_at_once

        end_at_once()
        from .cli import run
    except KeyboardInterrupt:  # before the signals were heard otherwise
        sys.stderr.write("snntx: interrupted; run the same command again to go on\n")
        sys.exit(130)
    code = run()
    decided(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
