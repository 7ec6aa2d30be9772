"""Running commands of the command line inside a test."""

import json

from typer.testing import CliRunner

from gradwell import cli


def run(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def done(*arguments, code=0):
    """Run a command that ends with `code`, and return what it printed."""
    result = run(*arguments)
    assert result.exit_code == code, result.output
    return result.stdout


def told(*arguments, code=0):
    """Run a command with --json, and return what it says: one document and nothing else."""
    return json.loads(done(*arguments, "--json", code=code))


def refused(*arguments):
    """Run what is wrong use and return its message: one line, no traceback, nothing on stdout."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr
