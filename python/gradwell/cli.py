"""The command line: ``gradwell demo | train | reproduce NAME | info``.

Exit status: 0 where all went well, 1 where a check does not hold, 2 on wrong use. Whatever a command does is
imported inside it, so that ``gradwell --help`` is quick.
"""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup


class _Commands(TyperGroup):
    """Turns the package's own refusals into one line on stderr and exit status 2."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (ValueError, OSError, ImportError) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise
            _refuse(_one_line(error))


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train deep networks fast on a CPU and see every layer's gradient while they train.",
)

Json = Annotated[bool, typer.Option("--json", help="Print machine-readable results only.")]
Data = Annotated[Path | None, typer.Option(help="Folder with the MNIST files, or its parent (GRADWELL_DATA).")]


def _version(wanted: bool) -> None:
    if wanted:
        from gradwell import __version__

        print(f"gradwell {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Train deep networks fast on a CPU and see every layer's gradient while they train."""


@app.command()
def demo(
    as_json: Json = False,
    output: Annotated[Path, typer.Option(help="Folder for the two figures.")] = Path(),
    no_figures: Annotated[bool, typer.Option("--no-figures", help="Draw nothing.")] = False,
) -> None:
    """See the front layers of a deep network starve.

    Trains a logistic network and a healthier one on the built-in digits, in seconds.
    """
    from gradwell.experiments import demo as demonstration

    if not no_figures and output.exists() and not output.is_dir():
        raise NotADirectoryError(f"[demo] output {output} is a file; needs a folder")
    found = demonstration.run(None if no_figures else output, quiet=as_json)
    if as_json:
        _print_json(found)


@app.command()
def reproduce(
    name: Annotated[str | None, typer.Argument(help="Which experiment; without it they are listed.")] = None,
    data: Data = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Random starts; each experiment has its own number.")] = None,
    as_json: Json = False,
    figure: Annotated[Path | None, typer.Option(help="Also draw it: a .png, .svg or .pdf file.")] = None,
) -> None:
    """Run a published experiment and check it.

    Prints measured beside published figures; exits 1 if a check does not hold.
    """
    from gradwell import experiments

    if name not in experiments.EXPERIMENTS:
        problem = "name an experiment" if name is None else f"there is no experiment {name!r}"
        _refuse(f"{problem}; there are:\n{experiments.listing()}")
    if figure is not None:  # say now, not after a minute of work, that it cannot be written
        from gradwell.report import plots

        plots.check_destination(figure)
    result = experiments.run(name, experiments.Options(data, seeds, not as_json and sys.stderr.isatty()))
    if figure is not None:
        plots.save(result.draw(), figure)
    if as_json:
        _print_json(result.as_json())
    else:
        print(result.text())
        if figure is not None:
            print(f"Figure: {figure}")
    if not result.holds:
        raise typer.Exit(1)


@app.command()
def info(as_json: Json = False) -> None:
    """Print versions and the CPU level in use."""
    import platform

    import numpy as np

    import gradwell as gw

    found = {
        **gw.build_info(),
        "threads": gw.num_threads(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
    }
    if as_json:
        _print_json(found)
        return
    width = max(map(len, found))
    for key, value in found.items():
        print(f"{key:<{width}}  {', '.join(map(str, value)) if isinstance(value, (list, tuple)) else value}")


@app.command()
def train(
    data: Annotated[str, typer.Option(help="A .csv or .npz file, 'digits', or 'mnist' (see GRADWELL_DATA).")],
    target: Annotated[str, typer.Option(help="Column of a .csv to predict: its name or index.")] = "-1",
    hidden: Annotated[str, typer.Option(help="Widths of the hidden layers, such as 30,30.")] = "30,30",
    activation: Annotated[str, typer.Option(help="Of the hidden layers.")] = "tanh",
    init: Annotated[str | None, typer.Option(help="Initial weights; by default the usual for the activation.")] = None,
    loss: Annotated[str | None, typer.Option(help="By default softmax_cross_entropy or mean_squared_error.")] = None,
    normalization: Annotated[str | None, typer.Option(help="'batch' or 'layer', before every activation.")] = None,
    dropout: Annotated[float, typer.Option(min=0.0, help="Rate behind every hidden activation.")] = 0.0,
    optimizer: Annotated[str, typer.Option(help="sgd, momentum, adagrad, rmsprop, adam or adamw.")] = "sgd",
    clip_norm: Annotated[float | None, typer.Option(help="Clip all gradients together to this norm.")] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 30,
    learning_rate: Annotated[float | None, typer.Option(min=0.0, help="By default the optimiser's usual.")] = None,
    weight_decay: Annotated[float, typer.Option(min=0.0)] = 0.0,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    validation: Annotated[float, typer.Option(min=0.0, max=0.9, help="Share of the rows held out.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    save: Annotated[Path | None, typer.Option(help="Write the trained network, a .safetensors file.")] = None,
    as_json: Json = False,
) -> None:
    """Train a network on a table of numbers.

    Shows how well it does and what reaches each of its layers.
    """
    from gradwell import cli_train
    from gradwell.nonfinite import NonFiniteError

    settings = cli_train.Settings(
        data=data,
        target=target,
        hidden=hidden,
        activation=activation,
        init=init,
        loss=loss,
        normalization=normalization,
        dropout=dropout,
        optimizer=optimizer,
        clip_norm=clip_norm,
        epochs=epochs,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        batch_size=batch_size,
        validation=validation,
        seed=seed,
        save=save,
    )
    try:
        found = cli_train.train(settings, progress=False if as_json else None)
    except NonFiniteError as error:  # not wrong use: the training itself went wrong
        typer.echo(f"gradwell: {error}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        _print_json(found.as_json())
    else:
        print(found.text())


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that knows no δ shows a question mark, and no traceback
            stream.reconfigure(errors="replace")
    app()


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))


def _refuse(message: str) -> NoReturn:
    typer.echo(f"gradwell: {message}", err=True)
    raise typer.Exit(2)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())
