"""What ``run.json`` holds, read without torch: what a run was made by (``train/run`` writes it).

In: a run directory. Out: the content, checked where others rely on it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...errors import SnntxError, shell_word
from .names import RUN


def read_account(run: Path) -> dict[str, Any] | None:
    """Return what ``run.json`` holds, or None where there is none.

    Raises:
        SnntxError: it is damaged.
    """
    path = run / RUN
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content["recipe"], str):
            raise TypeError("recipe is no text")
        if not all(isinstance(each["start"], str) for each in content["starts"]):
            raise TypeError("a start is no text")
        changed = content.get("differences") or {}
        for name, each in changed.items():
            if not (_is_value(each["recipe"]) and _is_value(each["run"])):
                raise TypeError(f"{name} has a value that no setting has")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        raise SnntxError(
            f"{path}: not what snntx train writes ({' '.join(str(error).split())}); no result "
            f"depends on it: remove it and go on with: snntx train --resume {shell_word(run)}"
        ) from error
    found: dict[str, Any] = content
    return found


def _is_value(value: Any) -> bool:
    """Whether a setting may have this value; None stands for none."""
    inner = value if isinstance(value, list) else [value]
    return all(each is None or isinstance(each, str | int | float) for each in inner)
