"""The command line: the group that the commands make up, and how errors end it.

Results go to standard output, progress and messages to standard error. Exit codes: 0 done,
1 the work failed, 2 the call is wrong. Heavy imports happen inside the commands, so that
``--help`` answers at once.
"""

from __future__ import annotations

import os
import sys

import click
from click.shell_completion import add_completion_class as _add_completion_class

from . import __version__
from .commands.assess.evaluate import evaluate as _evaluate
from .commands.assess.export import export as _export
from .commands.assess.predict import predict as _predict
from .commands.cache import cache as _cache
from .commands.cache import show_recording as _show
from .commands.cards import cards as _cards
from .commands.demo import demo as _demo
from .commands.ending import INTERRUPTED as _INTERRUPTED
from .commands.fetch import fetch as _fetch
from .commands.insight.diagnose import diagnose as _diagnose
from .commands.insight.landscape import landscape as _landscape
from .commands.insight.report import report as _report
from .commands.insight.saliency import saliency as _saliency
from .commands.options import Commands as _Commands
from .commands.options import say as _say
from .commands.preprocess import preprocess as _preprocess
from .commands.runs import runs as _runs
from .commands.settings import settings as _settings
from .commands.study import compare as _compare
from .commands.study import sweep as _sweep
from .commands.train import train as _train
from .commands.words.completion import Bash as _Bash
from .errors import SnntxError


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="snntx")
def cli() -> None:
    """Carry knowledge from static images into spiking networks for event cameras."""


for _command in (
    _fetch,
    _preprocess,
    _train,
    _evaluate,
    _diagnose,
    _saliency,
    _landscape,
    _report,
    _predict,
    _export,
    _demo,
    _sweep,
    _compare,
    _runs,
    _cache,
    _show,
    _cards,
    _settings,
):
    cli.add_command(_command)
_add_completion_class(_Bash, "bash")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # threads that spin while they wait make a shared machine's steps up to ten times longer
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        result = cli.main(args=arguments, prog_name="snntx", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except SnntxError as error:
        _say(f"error: {error}")
        return error.exit_code
    except click.ClickException as error:
        message, context = error.format_message(), getattr(error, "ctx", None)
        if "\n" in message:  # a group without a command: its help
            error.show()
        else:
            hint = f"; see: {context.command_path} --help" if context else ""
            _say(f"error: {message.rstrip('.')}{hint}")
        return 2
    except (KeyboardInterrupt, click.Abort):
        _say(_INTERRUPTED)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except (OSError, MemoryError) as error:
        _say(f"error: {' '.join(str(error).split()) or type(error).__name__}")
        return 1
