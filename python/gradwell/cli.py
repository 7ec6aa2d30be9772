"""The command line: a table of its commands and options. What each does is in a module beside this one.

Exit status: 0 where all went well, 1 where something was found (what is wrong with a run, where two differ, a check
that does not hold, a training that failed), 2 on wrong use. Whatever a command does is
imported inside it, so that ``gradwell --help`` is quick.
"""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup


class _Commands(TyperGroup):
    """Turns the package's own refusals into one line on stderr and exit status 2."""

    def invoke(self, ctx: Any) -> Any:
        from gradwell.devices import DeviceError

        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (ValueError, OSError, ImportError, DeviceError) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise
            _refuse(_one_line(error))


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train deep networks fast on a CPU and see every layer's gradient while they train.",
)

Json = Annotated[bool, typer.Option("--json", help="Print machine-readable results only.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A folder that train --run wrote.", show_default=False)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Write into a folder that holds other things.")]
Device = Annotated[str | None, typer.Option(help="'cpu' or 'cuda'; by default GRADWELL_DEVICE, or the CPU.")]
Data = Annotated[Path | None, typer.Option(help="Folder with the MNIST files, or its parent (GRADWELL_DATA).")]


def _one_of(what: str) -> Callable[[str], list[str]]:
    """Complete a value from the names in `cli_choices`, which are looked up only then."""

    def names(incomplete: str) -> list[str]:
        from gradwell import cli_choices

        return [name for name in cli_choices.names(what) if name.startswith(incomplete)]

    return names


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
    output: Annotated[Path, typer.Option(help="Folder for two figures and the report.")] = Path(),
    no_figures: Annotated[bool, typer.Option("--no-figures", help="Write no files.")] = False,
) -> None:
    """See a network that does not learn diagnosed, treated and cured.

    Trains on the built-in digits, says why the front layers starve, tries remedies and proves the best; in seconds.
    """
    from gradwell.experiments import demo as demonstration

    if not no_figures and output.exists() and not output.is_dir():
        raise NotADirectoryError(f"[demo] output {output} is a file; needs a folder")
    found = demonstration.run(None if no_figures else output, quiet=as_json)
    if as_json:
        _print_json(found)


@app.command()
def reproduce(
    name: Annotated[
        str | None,
        typer.Argument(help="Which experiment; without it they are listed.", autocompletion=_one_of("experiments")),
    ] = None,
    data: Data = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Random starts; each experiment has its own number.")] = None,
    as_json: Json = False,
    figure: Annotated[Path | None, typer.Option(help="Also draw it: a .png, .svg or .pdf file.")] = None,
    device: Device = None,
) -> None:
    """Run a published experiment and check it.

    Prints measured beside published figures; exits 1 if a check does not hold.
    """
    from gradwell import cli_devices, experiments

    if name not in experiments.EXPERIMENTS:
        problem = "name an experiment" if name is None else f"there is no experiment {name!r}"
        _refuse(f"{problem}; there are:\n{experiments.listing()}")
    cli_devices.choose(device)
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
    """Print versions, the CPU level in use, and whether there is a GPU."""
    import platform

    import numpy as np

    import gradwell as gw
    from gradwell import cli_devices

    found = {
        **gw.build_info(),
        "threads": gw.num_threads(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
    }
    cuda = gw.cuda_info()
    if as_json:
        _print_json({**found, "cuda": cuda})
        return
    found["cuda"] = cli_devices.described(cuda)
    width = max(map(len, found))
    for key, value in found.items():
        print(f"{key:<{width}}  {', '.join(map(str, value)) if isinstance(value, (list, tuple)) else value}")


@app.command()
def train(
    table: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help="A .csv or .npz file, 'digits', or 'mnist' (see GRADWELL_DATA)."),
    ] = None,
    data: Annotated[str | None, typer.Option(help="The same, as an option.")] = None,
    target: Annotated[str, typer.Option(help="Column of a .csv to predict: its name or index.")] = "-1",
    hidden: Annotated[str, typer.Option(help="Widths of the hidden layers: 30,30, or 64x6 for six of 64.")] = "30,30",
    activation: Annotated[
        str, typer.Option(help="Of the hidden layers.", autocompletion=_one_of("activations"))
    ] = "tanh",
    init: Annotated[str | None, typer.Option(help="Initial weights; by default the usual for the activation.")] = None,
    loss: Annotated[
        str | None,
        typer.Option(help="By default softmax_cross_entropy or mean_squared_error.", autocompletion=_one_of("losses")),
    ] = None,
    normalization: Annotated[str | None, typer.Option(help="'batch' or 'layer', before every activation.")] = None,
    dropout: Annotated[float, typer.Option(min=0.0, help="Rate behind every hidden activation.")] = 0.0,
    optimizer: Annotated[
        str,
        typer.Option(help="sgd, momentum, adagrad, rmsprop, adam or adamw.", autocompletion=_one_of("optimizers")),
    ] = "sgd",
    clip_norm: Annotated[float | None, typer.Option(help="Clip all gradients together to this norm.")] = None,
    clip_value: Annotated[float | None, typer.Option(help="Clip every gradient to this magnitude.")] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 30,
    learning_rate: Annotated[float | None, typer.Option(min=0.0, help="By default the optimiser's usual.")] = None,
    weight_decay: Annotated[float, typer.Option(min=0.0)] = 0.0,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    validation: Annotated[float, typer.Option(min=0.0, max=0.9, help="Share of the rows held out.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    stats: Annotated[
        str, typer.Option(help="Which steps are recorded: auto (within 2 % of the time), all or none.")
    ] = "auto",
    save: Annotated[Path | None, typer.Option(help="Write the trained network, a .safetensors file.")] = None,
    run: Annotated[Path | None, typer.Option(help="Keep record, network and settings in this folder.")] = None,
    overwrite: Overwrite = False,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Train a network on a table of numbers.

    Shows how well it does, what reaches each of its layers, and what is wrong with that.
    """
    from gradwell import cli_devices, cli_settings, cli_train

    if (table is None) == (data is None):
        _refuse(f"[train] DATA and --data are {'missing' if data is None else 'both given'}; needs one of them")
    options = dict(locals())  # by the names of the settings
    cli_devices.choose(device)
    options["data"] = table if data is None else data
    names = [field.name for field in fields(cli_settings.Settings)]
    settings = cli_settings.Settings(**{name: options[name] for name in names})
    to = cli_train.Destination(save, run, overwrite)
    with _training():
        found = cli_train.train(settings, to, False if as_json else None)
    _tell(found, as_json)


@app.command()
def diagnose(run: RunFolder, as_json: Json = False) -> None:
    """Say what is wrong with a run: which layer, why, what may help.

    Exits 1 if there are findings.
    """
    import gradwell as gw
    from gradwell import cli_doctor

    found = gw.load_run(run)
    diagnosis = gw.diagnose(found.history)
    if as_json:
        _print_json({"run": str(run), **diagnosis.to_dict()})
    else:
        print(cli_doctor.diagnosis_text(found, diagnosis))
    if not diagnosis.healthy:
        raise typer.Exit(1)


@app.command()
def treat(
    run: RunFolder,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Try only this remedy; may be given again.", autocompletion=_one_of("remedies")),
    ] = None,
    rule: Annotated[str | None, typer.Option(help="Treat what this rule found; by default the worst cause.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of each training.")] = 300,
    seeds: Annotated[int, typer.Option(min=1, help="Orders of the batches that are tried.")] = 3,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at a time, in processes of their own.")] = 1,
    data: Annotated[str | None, typer.Option(help="Where the run's data is now, if it has moved.")] = None,
    apply: Annotated[Path | None, typer.Option(help="Train on with what helped, and keep that run here.")] = None,
    page: Annotated[
        Path | None, typer.Option("--report", help="Write the page of gradwell report, with the trials.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Try remedies on a run, from its first weights, and say what helped.

    Exits 1 if nothing did.
    """
    import gradwell as gw
    from gradwell import cli_doctor
    from gradwell.cli_train import Destination

    with _training():
        found = cli_doctor.treat(
            gw.load_run(run),
            only or (),
            data=data,
            rule=rule,
            steps=steps,
            seeds=seeds,
            jobs=jobs,
            page=page,
            to=Destination(run=apply, overwrite=overwrite),
            progress=False if as_json else None,
        )
    _tell(found, as_json)
    if not found.holds:
        raise typer.Exit(1)


@app.command()
def compare(
    a: RunFolder,
    b: RunFolder,
    match: Annotated[str, typer.Option(help="Pair layers by 'name' or by 'position'.")] = "name",
    as_json: Json = False,
) -> None:
    """Say at which step and layer two runs part.

    Exits 1 if they do.
    """
    import gradwell as gw

    found = gw.compare(gw.load_run(a).history, gw.load_run(b).history, match=match)
    if as_json:
        _print_json({"a": str(a), "b": str(b), **found.to_dict()})
    else:
        print(found)
    if not found.identical:
        raise typer.Exit(1)


@app.command()
def report(
    run: RunFolder,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page; by default report.html in the run's folder.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Of the page.")] = None,
    as_json: Json = False,
) -> None:
    """Write a page on a run that opens in any browser."""
    import gradwell as gw

    found = gw.load_run(run)
    page = run / "report.html" if output is None else output
    gw.report.write(page, found.history, network=found.network, title=title or str(run))
    if as_json:
        _print_json({"run": str(run), "report": str(page)})
    else:
        print(f"Report: {page}")


@app.command()
def completion(
    shell: Annotated[str, typer.Argument(help="bash, zsh or fish.", autocompletion=_one_of("shells"))],
) -> None:
    """Print the script that completes commands and options in a shell.

    For bash: eval "$(gradwell completion bash)".
    """
    import os

    from gradwell.cli_choices import SHELLS

    if shell not in SHELLS:
        _refuse(f"[completion] shell is {shell!r}; needs one of {', '.join(SHELLS)}")
    os.environ["_GRADWELL_COMPLETE"] = f"source_{shell}"  # has typer print the script, and end
    try:
        app(args=[], prog_name="gradwell")
    finally:
        del os.environ["_GRADWELL_COMPLETE"]


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that knows no δ shows a question mark, and no traceback
            stream.reconfigure(errors="replace")
    app()


@contextmanager
def _training() -> Iterator[None]:
    """Exit 1 where training itself went wrong, 130 where it was interrupted: no wrong use."""
    from gradwell.nonfinite import NonFiniteError

    try:
        yield
    except NonFiniteError as error:
        typer.echo(f"gradwell: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("gradwell: interrupted", err=True)
        raise typer.Exit(130) from None


def _tell(found: Any, as_json: bool) -> None:
    if as_json:
        _print_json(found.as_json())
    else:
        print(found.text())


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))


def _refuse(message: str) -> NoReturn:
    typer.echo(f"gradwell: {message}", err=True)
    raise typer.Exit(2)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())
