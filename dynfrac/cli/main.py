"""The `dynfrac` command: a group that loads its commands lazily, and the error boundary.

`dynfrac --help`, `--version` and shell completion of command names import neither jax nor any
command: the table below holds what they print. A command's module is imported when the command
is run, or asked for its own help.

Exit status: 0 done; 1 no value; 2 wrong argument or file; 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import final

import click
from click.shell_completion import CompletionItem

from dynfrac.cli.interrupts import interrupts_noted
from dynfrac.cli.settings import bind_environment, read_settings, settings_for

COMMANDS: dict[str, tuple[str, str]] = {
    "sweep": (
        "dynfrac.cli.cmd_sweep:command",
        "Run a grid of trainings and store every outcome.",
    ),
    "show": (
        "dynfrac.cli.cmd_show:command",
        "Draw the picture of a sweep.",
    ),
    "zoom": (
        "dynfrac.cli.cmd_zoom:command",
        "Pictures deeper and deeper into a boundary, and a movie.",
    ),
    "explore": (
        "dynfrac.cli.cmd_explore:command",
        "Walk through a boundary in the browser.",
    ),
    "verify": (
        "dynfrac.cli.cmd_verify:command",
        "Check a sweep on disk for damage, and repair it.",
    ),
    "boxdim": (
        "dynfrac.cli.cmd_boxdim:command",
        "Box dimension of a boundary or a set, from an image or a sweep.",
    ),
    "corrdim": (
        "dynfrac.cli.cmd_corrdim:command",
        "Correlation and generalised dimensions of points or of an orbit.",
    ),
    "lyapunov": (
        "dynfrac.cli.cmd_lyapunov:command",
        "Lyapunov exponents of a map or of a training run.",
    ),
    "dimension": (
        "dynfrac.cli.cmd_dimension:command",
        "Dimension of a boundary without a sweep.",
    ),
    "compare": (
        "dynfrac.cli.cmd_compare:command",
        "Do the boundaries of two architectures differ in dimension?",
    ),
    "validate": (
        "dynfrac.cli.cmd_validate:command",
        "Measure every known value: the proof that the numbers are right.",
    ),
    "orbits": (
        "dynfrac.cli.cmd_orbits:command",
        "Orbit diagram over a hyperparameter, with the largest exponent.",
    ),
    "list": (
        "dynfrac.cli.cmd_list:command",
        "Maps, architectures, presets, hyperparameters and rules.",
    ),
}
"""Command name -> (where it is, its one-line help). The help stands here so that listing the
commands imports none of them."""

INTERRUPTED = 130
USAGE = 2


@final
class LazyGroup(click.Group):
    """A click group whose commands are imported only when one is needed.

    It refines the methods that click documents as the places to do this; what a command is and how
    it is run stays click's.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table, which is the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, or None if there is no such name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        bind_environment(command, f"DYNFRAC_{cmd_name}")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was named and hand it the settings file's table for it.

        Raises
        ------
        ValueError
            If there is no such command, or the file sets an option that it does not take.
        """
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None:
            if ctx.resilient_parsing or name.startswith("-"):
                return super().resolve_command(ctx, args)
            # Imported here because it brings jax with it, which only this mistake has to wait for.
            from dynfrac.systems.abstract import unknown_name

            raise unknown_name("command", name, COMMANDS)
        if ctx.default_map and name in ctx.default_map:
            table = settings_for(command, name, ctx.default_map[name])
            ctx.default_map = {**ctx.default_map, name: table}
        return name, command, args[1:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete command names from the table, options as click does."""
        names = [
            CompletionItem(name, help=text)
            for name, (_, text) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        # Not `super()`: the group's own completion would import every command.
        return names + click.Command.shell_complete(self, ctx, incomplete)


def _load_settings(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Click callback of `--config`: make the file's tables the defaults of the commands."""
    if path is not None:
        ctx.default_map = read_settings(path, COMMANDS)
    return path


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings are taken from the command line, then from the environment "
    "(DYNFRAC_SWEEP_RES=256 is --res of sweep), then from the --config file, then from the "
    "defaults. DYNFRAC_PROGRESS=0 switches progress bars off, and DYNFRAC_DEBUG=1 shows the "
    "traceback of an error.",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="DYNFRAC_CONFIG",
    is_eager=True,
    expose_value=False,
    callback=_load_settings,
    help="TOML file with one table of options for each command, such as [sweep].",
)
@click.option("--quiet", "-q", is_flag=True, help="Show no progress bar.")
@click.version_option(package_name="dynfrac", message="dynfrac %(version)s")
def cli(quiet: bool) -> None:
    """Training runs as dynamical systems: boundaries, exponents, fractal dimensions.

    \b
    Example:
      dynfrac lyapunov --map henon
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    This is the only place where an exception becomes a message. What a user can cause (a wrong
    value, a file that cannot be read, too little memory, a missing extra, Ctrl-C) ends in one
    sentence on standard error; anything else is a defect and keeps its traceback.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; those of the process if not given.

    Returns
    -------
    int
        0 done; 1 no value; 2 wrong argument or file; 130 interrupted.
    """
    if os.getcwd() not in sys.path:
        # `--arch module:factory` finds the modules of the folder one stands in, as `python` would.
        sys.path.append(os.getcwd())
    try:
        with interrupts_noted():
            status = cli.main(args=argv, prog_name="dynfrac", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return USAGE
    except (click.Abort, KeyboardInterrupt) as error:
        return _report(_describe_interrupt(error), INTERRUPTED)
    except (click.ClickException, ValueError, OSError, MemoryError, ImportError) as error:
        return _report(f"error: {_describe(error)}", USAGE)
    except RuntimeError as error:
        # How the accelerator's runtime says that its memory is exhausted.
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return _report(f"error: {_describe(MemoryError())}", USAGE)
    return int(status or 0)


def _report(sentence: str, status: int) -> int:
    """Print one line on standard error, after the traceback if one was asked for."""
    if os.environ.get("DYNFRAC_DEBUG", "0") not in ("", "0"):
        traceback.print_exc()
    click.echo(sentence, err=True)
    return status


def _describe_interrupt(error: BaseException) -> str:
    """Say that the run was interrupted, with the remedy its command attached, if any."""
    cause = error.__cause__ if isinstance(error, click.Abort) else error
    remedy = str(cause) if isinstance(cause, KeyboardInterrupt) else ""
    return f"interrupted: {remedy}" if remedy else "interrupted"


def _describe(error: Exception) -> str:
    """Put an exception into one sentence on one line."""
    if isinstance(error, click.NoSuchOption):
        near = error.possibilities or []
        hint = f", did you mean {' or '.join(sorted(near))}" if near else ""
        text = f"unknown option {error.option_name}{hint}"
    elif isinstance(error, click.ClickException):
        text = error.format_message()
    elif isinstance(error, MemoryError):
        text = str(error) or "out of memory; ask for less at once or use a machine with more"
    elif isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"
    else:
        text = str(error) or type(error).__name__
    text = " ".join(text.split()).rstrip(".")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        text += f"; see {error.ctx.command_path} --help"
    return text


if __name__ == "__main__":
    sys.exit(main())
