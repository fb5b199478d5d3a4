"""Doors: how a part is found by its name, and what is said where there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from snntx.declared.doors import Door
from snntx.errors import UsageError

Write = Callable[[str, str], None]


class Part:
    """What the doors of these tests let in."""


class Other(Part):
    """Another one."""


def is_a_part(part: Any) -> str | None:
    ours = isinstance(part, type) and any(each.__name__ == "Part" for each in part.__mro__)
    return None if ours else "is no Part"


def door(shipped: Any = {}, **more: Any) -> Door[Any]:  # noqa: B006
    return Door("part", "snntx.test_parts", shipped, is_a_part, **more)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a module that can be imported until the test is over."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def written(name: str, text: str) -> None:
        file = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    yield written
    for name in set(sys.modules) - before:
        if name.startswith("door_"):
            del sys.modules[name]


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets which entry points of the group are installed, by name."""

    def offer(**values: str) -> None:
        points = [metadata.EntryPoint(n, v, "snntx.test_parts") for n, v in values.items()]

        def entry_points(*, group: str) -> list[metadata.EntryPoint]:
            return points if group == "snntx.test_parts" else []

        monkeypatch.setattr(metadata, "entry_points", entry_points)

    return offer


# ---------------------------------------------------------------- the four ways in


def test_a_decorator_registers_and_returns_its_object() -> None:
    parts = door()
    assert parts.register("mine")(Part) is Part
    assert parts.get("mine") is Part
    assert parts.names() == ["mine"]
    assert parts.knows("mine")


def test_a_folders_modules_are_parts_by_their_names(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("door_folder.__init__", "from snntx.declared.doors import Door\nPARTS = None\n")
    write(
        "door_folder.two_words",
        "import door_folder\n\n@door_folder.PARTS.register('two-words')\nclass Part: ...\n",
    )
    write("door_folder._hidden", "raise RuntimeError\n")
    write("door_folder.broken", "raise RuntimeError\n")
    import door_folder  # type: ignore[import-not-found]

    parts = door("door_folder")
    monkeypatch.setattr(door_folder, "PARTS", parts)
    assert parts.shipped() == ["broken", "two-words"]
    assert "door_folder.two_words" not in sys.modules  # listed without being imported
    assert parts.knows("two-words")
    assert not parts.knows("-hidden")
    assert parts.get("two-words").__module__ == "door_folder.two_words"


def test_shipped_parts_may_be_named_one_by_one(write: Write) -> None:
    parts = door({"mine": "door_named"})
    write(
        "door_named", "import door_holder\ndoor_holder.PARTS.register('mine')(door_holder.Part)\n"
    )
    write("door_holder", "PARTS = None\nclass Part: ...\n")
    import door_holder  # type: ignore[import-not-found]

    door_holder.PARTS = parts
    assert parts.shipped() == ["mine"]
    assert parts.get("mine") is door_holder.Part


def test_an_entry_point_is_loaded_when_it_is_asked_for(
    write: Write, offered: Callable[..., None]
) -> None:
    write("door_entry", "class Part: ...\n")
    offered(theirs="door_entry:Part", another="door_missing:Part")
    parts = door()
    assert parts.names() == ["another", "theirs"]
    assert parts.knows("theirs")
    assert "door_entry" not in sys.modules
    assert parts.get("theirs").__module__ == "door_entry"
    assert parts.get("theirs") is parts.get("theirs")


def test_a_place_is_imported(write: Write, offered: Callable[..., None]) -> None:
    write("door_place", "class Part: ...\n")
    offered()
    parts = door()
    assert parts.knows("door_place:Part")
    assert parts.names() == []
    assert parts.get("door_place:Part").__module__ == "door_place"


@pytest.mark.parametrize(
    "name", ["", "a", "a.b", ":Name", "a:", "a b:Name", "a/b:Name", "a:b.c", "1a:Name", "a:b\n"]
)
def test_what_is_no_place_is_not_known(name: str) -> None:
    assert not door().knows(name)


def test_what_is_registered_here_comes_before_what_is_installed(
    write: Write, offered: Callable[..., None]
) -> None:
    write("door_entry", "class Part: ...\n")
    offered(mine="door_entry:Part")
    parts = door()
    parts.register("mine")(Other)
    assert parts.get("mine") is Other
    assert parts.names() == ["mine"]


def test_shipped_names_come_first(offered: Callable[..., None]) -> None:
    offered(a="m:A")
    parts = door({"z": "m", "y": "m"})
    parts.register("b")(Part)
    assert parts.names() == ["z", "y", "b", "a"]


# ---------------------------------------------------------------- what is refused


def test_a_name_is_given_once() -> None:
    parts = door()
    parts.register("mine")(Part)
    parts.register("mine")(Part)  # the same again, as by its name and by its module
    with pytest.raises(UsageError) as caught:
        parts.register("mine")(Other)
    place = f"{__name__}:"
    assert str(caught.value) == (
        f"part 'mine' is registered twice: {place}Part and {place}Other; rename one of them"
    )
    assert parts.get("mine") is Part


def test_an_object_that_is_no_part_is_refused(write: Write, offered: Callable[..., None]) -> None:
    write("door_wrong", "value = 3\nclass Part: ...\n")
    offered(theirs="door_wrong:value")
    parts = door()
    for name in ("theirs", "door_wrong:value"):
        with pytest.raises(UsageError, match=rf"^part '{name}' \(.*int\): is no Part$"):
            parts.get(name)
    with pytest.raises(UsageError, match=r"is no Part$"):
        parts.register("mine")(3)
    assert parts.names() == ["theirs"]


@pytest.mark.parametrize(
    ("text", "name", "line"),
    [
        ("raise RuntimeError('no\\n  luck')", "door_bad:Part", "RuntimeError: no luck"),
        (
            "import door_absent",
            "door_bad:Part",
            "ModuleNotFoundError: No module named 'door_absent'",
        ),
        ("x = (", "door_bad:Part", "SyntaxError: "),
        ("raise ValueError", "door_bad:Part", "ValueError: ValueError"),
        ("", "door_bad:Part", "AttributeError: module 'door_bad' has no attribute 'Part'"),
        ("", "door_none:Part", "ModuleNotFoundError: No module named 'door_none'"),
    ],
)
def test_an_import_that_fails_is_one_line(
    write: Write, offered: Callable[..., None], text: str, name: str, line: str
) -> None:
    write("door_bad", text)
    offered(theirs=name)
    for each in (name, "theirs"):
        with pytest.raises(UsageError) as caught:
            door().get(each)
        assert str(caught.value).startswith(f"part '{each}' cannot be imported: {line}")
        assert "\n" not in str(caught.value)


def test_an_unknown_name_lists_what_is_known(offered: Callable[..., None]) -> None:
    offered(theirs="m:Part")
    parts = door({"shipped": "m"}, also=("none",))
    assert parts.knows("none")
    with pytest.raises(UsageError) as caught:
        parts.get("shiped")
    assert str(caught.value) == (
        "unknown part 'shiped'; did you mean 'shipped'? (known: none, shipped, theirs; your own: "
        "package.module:Name, see docs/extending.md)"
    )
    assert str(parts.unknown("zzzzzz", "here: ")).startswith(
        "here: unknown part 'zzzzzz' (known: none,"
    )
