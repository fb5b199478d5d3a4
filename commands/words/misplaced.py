"""Settings and options that came in each other's way, and what to type in their place.

A run has settings (``--set NAME=VALUE``), a command has options (``--name VALUE``). In: the words
of a command. Out: an error that says what to type, for ``--epochs 3``, ``epochs=3`` and ``--set
epochs 3`` where a setting is meant, for ``steps=4`` and ``--set steps=4`` where an option is.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from ...errors import UsageError, shell_word

_PAIR = re.compile(r"([A-Za-z_][\w.-]*)=(.*)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][\w.-]*=?")
_NEGATIVE = re.compile(r"-[\d.]+(e[+-]?\d+)?", re.IGNORECASE)


class Given(NamedTuple):
    """A name and its value as they were written.

    Attributes:
        name: what the words name, with underscores.
        value: what stands behind it; None for nothing.
        text: the words.
        short: the words where what stands behind the name is no value of it.
    """

    name: str
    value: str | None
    text: str
    short: str


class Worded(click.Command):
    """A command that says what to type where a setting or an option came in the other's way."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words; what was misplaced among them is an error that says what to type.

        Raises:
            UsageError: a setting is given as an option, or an option as a setting.
            click.UsageError: the call is wrong in another way.
        """
        words = list(args)
        if ctx.resilient_parsing:  # a line that is being typed is completed, not judged
            return super().parse_args(ctx, args)
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            self._refuse(_unknown(words, error.option_name))
            raise
        except click.UsageError:
            self._refuse([*_torn(words), *self._pairs(ctx, words)])
            raise
        for each in self.params:
            if isinstance(each, click.Argument):
                self._refuse(_pairs_of(ctx.params.get(each.name or "")))
        if "settings" in ctx.params:
            self._refuse(_pairs_of(ctx.params["settings"], "--set "), settings=False)
        return rest

    def _pairs(self, ctx: click.Context, words: Sequence[str]) -> Iterator[Given]:
        """Yield the words ``name=value`` that are no option's value."""
        try:
            values, rest, _ = self.make_parser(ctx).parse_args(list(words))
        except click.UsageError:
            return
        for each in self.params:
            if isinstance(each, click.Argument):
                yield from _pairs_of(values.get(each.name or ""))
        yield from _pairs_of(rest)

    def _refuse(self, found: Iterable[Given], *, settings: bool = True) -> None:
        """Raise the error for the first of these that an option, or a setting, is meant by."""
        for given in found:
            told = self._option(given) or (self._setting(given) if settings else None)
            if told is not None:
                raise UsageError(told)

    def _option(self, given: Given) -> str | None:
        """Return that an option of this command is meant; None where none is, or a setting."""
        from .meant import is_setting

        options = {
            name.lstrip("-").replace("-", "_"): option
            for option in self.params
            if isinstance(option, click.Option)
            for name in option.opts
        }
        several = options.get(f"{given.name}s")  # --seeds, for the seed of one run
        option = several or options.get(given.name)
        settable = "set" in options and is_setting(given.name)
        if option is None or (settable and several is None):
            return None
        name, value = max(option.opts, key=len), given.value
        if option.is_flag:
            how = f"leave it out for no {name}" if value == "false" else f"write {name}"
        elif option.nargs > 1:
            how = f"write {name} {' '.join(re.findall(r'[^][(), ]+', value or '')) or 'VALUES'}"
        else:
            how = f"write {name} {shell_word((value or '').strip(chr(34))) if value else 'VALUE'}"
        return f"{given.text}: is an option of this command; {how}"

    def _alike(self, given: Given, setting: str) -> str | None:
        """Return that an option is meant by a misspelt name which is no nearer to a setting."""
        own = {option.lstrip("-").replace("-", "_") for each in self.params for option in each.opts}
        (name,) = difflib.get_close_matches(given.name, sorted({*own, setting}), n=1)
        told = self._option(given._replace(name=name))
        return told and told.replace(": is an option", ": is no option", 1)

    def _setting(self, given: Given) -> str | None:
        """Return that a setting, or one's like, is meant; None where there is none of that name."""
        from .meant import setting_meant

        found = setting_meant(given.name, given.value, guess=given.text.startswith("-"))
        if found is None:
            return None
        if found.guessed and (told := self._alike(given, found.name)) is not None:
            return told
        text = given.text if found.takes or given.value is None else given.short
        doubt = f" no option; the setting {found.name} is meant" if found.guessed else ""
        if any("--set" in each.opts for each in self.params):
            return f"{text}: is{doubt or ' a setting'}; write --set {shell_word(found.pair)}"
        return (
            f"{text}: is{doubt or ' a setting'}, which a run is trained with: snntx train CARD "
            f"--set {shell_word(found.pair)}"
        )


def _unknown(words: Sequence[str], named: str) -> Iterator[Given]:
    """Yield what an unknown option may stand for; of ``-epochs`` click knows ``-e`` alone."""
    for i, word in enumerate(words):
        start, equals, value = word.partition("=")
        if start != named and (len(named) != 2 or word[:2] != named):
            continue
        following = value if equals else _value_at(words, i + 1)
        if start == "--set":
            yield from _pairs_of([following or ""], "--set ")
            yield from _torn(words[i:])
            return
        text = word if equals or following is None else f"{word} {following}"
        name = start.lstrip("-").replace("-", "_")
        yield Given(name, following, text, start)
        if name.startswith("no_"):
            yield Given(name.removeprefix("no_"), "false", start, start)
        return


def _torn(words: Sequence[str]) -> Iterator[Given]:
    """Yield the settings that blanks tear apart: ``--set epochs 3``, ``--set lr = 0.1``."""
    for i, word in enumerate(words):
        if word != "--set" or not _NAME.fullmatch("".join(words[i + 1 : i + 2])):
            continue
        name = words[i + 1].rstrip("=")
        at = i + 3 if words[i + 2 : i + 3] == ["="] else i + 2
        value = _value_at(words, at)
        if value is not None:
            text = " ".join(words[i : at + 1])
            yield Given(name.replace("-", "_"), value.removeprefix("="), text, text)


def _value_at(words: Sequence[str], place: int) -> str | None:
    """Return the word there, if it is no option."""
    word = next(iter(words[place : place + 1]), None)
    if word is None or (word.startswith("-") and not _NEGATIVE.fullmatch(word)):
        return None
    return word


def _pairs_of(values: object, before: str = "") -> Iterator[Given]:
    """Yield those of some words that are ``name=value`` and no file."""
    words = values if isinstance(values, list | tuple) else [values]
    for word in map(str, (each for each in words if each is not None)):
        found = _PAIR.fullmatch(word)
        if found is not None and not Path(word).exists():
            text = f"{before}{word}"
            yield Given(found[1].replace("-", "_"), found[2], text, text)
