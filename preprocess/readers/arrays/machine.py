"""A pickle's machine that knows arrays of numbers alone: it imports, calls and builds nothing.

In: the codes of a pickle one after the other. Out: what an array of objects holds. A pickle is a
row of codes for a machine with a stack: push a value, take some and push their tuple, keep one by
a number. Where it names something to be called, the name is compared with numpy's constructors of
arrays (``numpy.core`` before numpy 2, ``numpy._core`` since); every other name is refused, and
so is every code that such arrays do not need. Numbers stay in the file
(:class:`~snntx.preprocess.readers.arrays.numbers.Numbers`), so that one of any size is
understood in one pass and little memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ....errors import BadFileError, plain
from .numbers import AGAIN, Numbers

MOST_VALUES = 1 << 20
"""Most values on the stack, in the memory or in a list: a million recordings."""
FEW = 16
"""Bytes that are kept where they stand for one value."""
LONGEST, DEEPEST, WIDEST = 256, 4, 9
"""Of a text, of tuples in tuples, and of a tuple; a state of numpy's has nine values."""
OLD = (
    "numpy before 1.17 wrote it: where you trust the file, save it again with "
    "numpy.save(path, numpy.load(path, allow_pickle=True))"
)
_ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
_KNOWN = (
    {(module, name): name for module in _ARRAYS for name in ("_reconstruct", "scalar")}
    | {("numpy", name): name for name in ("ndarray", "dtype")}
    | {(module, "_frombuffer"): "_frombuffer" for module in _NUMERIC}
)
_TYPES = {f"{kind}{size}": f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)} | {
    **{word: word for word in ("b1", "f2", "f4", "f8")},
    **dict.fromkeys(("O", "O4", "O8"), "O"),
}
_VALUES = ("BININT", "BININT1", "BININT2", "INT", "LONG1", "SHORT_BINUNICODE", "BINUNICODE")
_BYTES = ("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "BINSTRING", "SHORT_BINSTRING")
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EXPECTED = "expected arrays of numbers, as numpy.save writes them, and nothing else"


class _Span(NamedTuple):
    """Bytes in the file; ``data`` is what they are, where they are few."""

    start: int
    length: int
    data: bytes = b""


class _Name(NamedTuple):
    """One of numpy's constructors."""

    name: str


class _Tuple(NamedTuple):
    """A tuple, and how deep others lie in it."""

    items: tuple[Any, ...]
    depth: int


class _Made:
    """What a constructor made: an array or a type, to be completed by its state."""

    def __init__(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.name, self.arguments = name, arguments
        self.value: Any = None
        """Once complete: a dtype, :class:`Numbers`, or the list of an array of objects."""


_MARK = object()


def refuse(path: Path | str, at: int, found: str) -> NoReturn:
    """Raise the error of a pickle that is damaged or holds what it should not."""
    raise BadFileError(f"{path}: pickle at byte {at}: {found}")


class Machine:
    """The stack and the memory of a pickle."""

    def __init__(self, path: Path | str) -> None:
        self._path, self._at = path, 0
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def step(self, code: str, argument: Any, at: int, end: int) -> None:
        """Take one code; ``end`` is the byte after it."""
        self._at = at
        if max(len(self._stack), len(self._memo)) > MOST_VALUES:
            self._refuse(f"more than {MOST_VALUES} values; write fewer recordings to a file")
        if code in _VALUES:
            if isinstance(argument, str) and len(argument) > LONGEST:
                self._refuse(f"a text of more than {LONGEST} letters; {_EXPECTED}")
            self._stack.append(argument)
        elif code == "EMPTY_TUPLE":
            self._stack.append(_Tuple((), 1))
        elif code in _CONSTANTS:
            self._stack.append(_CONSTANTS[code])
        elif code in _BYTES:
            few = argument[: FEW + 1]
            few = few.encode("latin-1") if isinstance(few, str) else bytes(few)
            data = few if len(few) <= FEW else b""
            self._stack.append(_Span(end - len(argument), len(argument), data))
        elif code in ("BINPUT", "LONG_BINPUT", "PUT"):
            self._memo[int(argument)] = self._stack[-1]
        elif code == "MEMOIZE":
            self._memo[len(self._memo)] = self._stack[-1]
        elif code in ("BINGET", "LONG_BINGET", "GET"):
            if int(argument) not in self._memo:
                self._refuse(f"recalls value {argument}, which it did not keep: damaged; {AGAIN}")
            self._stack.append(self._memo[int(argument)])
        elif code == "MARK":
            self._stack.append(_MARK)
        elif code == "EMPTY_LIST":
            self._stack.append([])
        elif code in ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(code[-1]) if code[-1].isdigit() else None
            self._push_tuple(self._taken(count))
        elif code in ("APPEND", "APPENDS"):
            items = self._taken(1 if code == "APPEND" else None)
            self._extend(items)
        elif code in ("GLOBAL", "STACK_GLOBAL"):
            names = argument.split(" ", 1) if code == "GLOBAL" else self._taken(2)
            self._push_name(names)
        elif code == "REDUCE":
            self._reduce()
        elif code == "BUILD":
            self._build()
        elif code not in ("PROTO", "FRAME", "STOP"):
            self._refuse(f"the code {code}; {_EXPECTED}")

    def result(self) -> tuple[tuple[int, ...], list[Numbers | int]]:
        """Return the array of objects, once the pickle has ended."""
        [made] = self._stack if len(self._stack) == 1 else [None]
        if not isinstance(made, _Made) or not isinstance(made.value, tuple):
            self._refuse(f"holds something else; {_EXPECTED}")
        shape, items = made.value
        return shape, [self._element(item) for item in items]

    def _element(self, item: Any) -> Numbers | int:
        if isinstance(item, int):
            return int(item)
        if isinstance(item, _Made) and isinstance(item.value, Numbers):
            return item.value
        self._refuse(f"an array of more than arrays and whole numbers; {_EXPECTED}")

    def _taken(self, count: int | None) -> list[Any]:
        """Take the last values off the stack; those above the last mark where no count is given."""
        if count is None:
            at = len(self._stack) - 1
            while at >= 0 and self._stack[at] is not _MARK:
                at -= 1
            if at < 0:
                self._refuse(f"ends what it did not begin: damaged; {AGAIN}")
            taken = self._stack[at + 1 :]
            del self._stack[at:]
            return taken
        if len(self._stack) < count:
            self._refuse(f"takes {count} values of {len(self._stack)}: damaged; {AGAIN}")
        taken = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return taken

    def _push_tuple(self, items: list[Any]) -> None:
        depth = 1 + max((item.depth for item in items if isinstance(item, _Tuple)), default=0)
        if len(items) > WIDEST or depth > DEEPEST or _MARK in items:
            self._refuse(f"a tuple of {len(items)} values, {depth} deep; {_EXPECTED}")
        self._stack.append(_Tuple(tuple(items), depth))

    def _extend(self, items: list[Any]) -> None:
        if not self._stack or not isinstance(self._stack[-1], list):
            self._refuse(f"adds to what is no list: damaged; {AGAIN}")
        if not all(isinstance(item, int | _Made) for item in items):
            self._refuse(f"a list of more than arrays and whole numbers; {_EXPECTED}")
        self._stack[-1].extend(items)
        if len(self._stack[-1]) > MOST_VALUES:
            self._refuse(f"more than {MOST_VALUES} values; write fewer recordings to a file")

    def _push_name(self, names: Sequence[Any]) -> None:
        module, name = (each if isinstance(each, str) else "?" for each in names)
        if (module, name) not in _KNOWN:
            named = f"{plain(module)[:60]}.{plain(name)[:60]}"
            advice = f"; {OLD}" if (module, name) == ("_codecs", "encode") else ""
            self._refuse(f"names {named}, which was not run; {_EXPECTED}{advice}")
        self._stack.append(_Name(_KNOWN[module, name]))

    def _reduce(self) -> None:
        """Take a constructor and its arguments, push what it makes."""
        called, arguments = self._taken(2)
        if not isinstance(called, _Name) or not isinstance(arguments, _Tuple):
            self._refuse(f"calls what is none of numpy's constructors; {_EXPECTED}")
        made = _Made(called.name, arguments.items)
        if called.name == "dtype":
            made.value = self._type(made.arguments)
        elif called.name == "scalar":
            self._stack.append(self._scalar(made.arguments))
            return
        elif called.name == "_frombuffer":
            made.value = self._from_buffer(made.arguments)
        elif called.name != "_reconstruct" or made.arguments[:1] != (_Name("ndarray"),):
            self._refuse(f"calls {called.name} in a way that numpy does not; {_EXPECTED}")
        self._stack.append(made)

    def _build(self) -> None:
        """Complete a type or an array by its state."""
        [state] = self._taken(1)
        made = self._stack[-1]
        if not isinstance(made, _Made) or not isinstance(state, _Tuple):
            self._refuse(f"completes what is no array; {_EXPECTED}")
        items = state.items
        if made.name == "dtype" and isinstance(made.value, np.dtype) and len(items) >= 2:
            order: Any = _word(items[1])
            if order in ("<", ">", "|", "="):
                made.value = made.value.newbyteorder(order)
                return
        elif made.name == "_reconstruct" and len(items) == 5 and made.value is None:
            _, shape, dtype, fortran, content = items
            made.value = self._array(shape, dtype, fortran, content)
            return
        self._refuse(f"a state of {made.name} that numpy does not write; {_EXPECTED}")

    def _type(self, arguments: tuple[Any, ...]) -> np.dtype[Any]:
        word = _word(arguments[0]) if arguments else ""
        if word not in _TYPES:
            self._refuse(f"values of type '{plain(word)[:40]}'; {_EXPECTED}")
        return np.dtype(_TYPES[word])

    def _from_buffer(self, arguments: tuple[Any, ...]) -> Numbers:
        if len(arguments) != 4:
            self._refuse(f"_frombuffer of {len(arguments)} values; {_EXPECTED}")
        content, dtype, shape, order = arguments
        found = self._array(shape, dtype, _word(order) == "F", content)
        if not isinstance(found, Numbers):
            self._refuse(f"_frombuffer of objects; {_EXPECTED}")
        return found

    def _scalar(self, arguments: tuple[Any, ...]) -> int:
        dtype, content = arguments if len(arguments) == 2 else (None, None)
        kind = dtype.value if isinstance(dtype, _Made) else None
        if not isinstance(kind, np.dtype) or kind.kind not in "iub":
            self._refuse(f"a value that is no whole number; {_EXPECTED}")
        if not isinstance(content, _Span) or len(content.data) != kind.itemsize:
            self._refuse(f"a value whose bytes are not those of its type: damaged; {AGAIN}")
        return int(np.frombuffer(content.data, kind)[0])

    def _array(
        self, shape: Any, dtype: Any, fortran: Any, content: Any
    ) -> Numbers | tuple[tuple[int, ...], list[Any]]:
        """Return an array by its state."""
        sides = shape.items if isinstance(shape, _Tuple) else None
        kind = dtype.value if isinstance(dtype, _Made) else None
        whole = sides is not None and all(type(s) is int and s >= 0 for s in sides)
        if not whole or sides is None or not isinstance(kind, np.dtype):
            self._refuse(f"an array without shape or type: damaged; {AGAIN}")
        count = math.prod(sides)
        if kind.kind == "O":
            held = content if isinstance(content, list) else []
            if count != len(held):
                self._refuse(f"{len(held)} elements for {count}: damaged; {AGAIN}")
            return sides, held
        if not isinstance(content, _Span) or content.length != count * kind.itemsize:
            there = content.length if isinstance(content, _Span) else 0
            self._refuse(
                f"an array of {' x '.join(map(str, sides))} numbers of {kind.itemsize} bytes in "
                f"{there}: damaged; {AGAIN}"
            )
        return Numbers(kind, sides, bool(fortran), content.start)

    def _refuse(self, found: str) -> NoReturn:
        refuse(self._path, self._at, found)


def _word(value: Any) -> str:
    """Return a text of either kind of pickle; empty for what is none."""
    return value.data.decode("latin-1") if isinstance(value, _Span) else str(value or "")
