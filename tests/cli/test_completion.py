"""Completion: the scripts are printed, and a shell that asks gets commands, options and values."""

import os
import shutil
import subprocess
import sys

import pytest
from commands import done, refused


@pytest.mark.parametrize(
    ("shell", "said"),
    [("bash", "complete -o default -F"), ("zsh", "#compdef gradwell"), ("fish", "complete --command gradwell")],
)
def test_the_script_is_printed(shell, said):
    text = done("completion", shell)
    assert said in text
    assert "_GRADWELL_COMPLETE" in text
    assert "_GRADWELL_COMPLETE" not in os.environ


def test_a_shell_that_is_not_known():
    assert "shell is 'tcsh'; needs one of bash, zsh, fish" in refused("completion", "tcsh")


def completed(*words):
    asked = {"_GRADWELL_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    code = "from gradwell.cli import app; app(prog_name='gradwell')"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | asked)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["gradwell", "tr"], {"train", "treat"}),
        (["gradwell", "train", "--act"], {"--activation"}),
        (["gradwell", "train", "--activation", "sig"], {"sigmoid"}),
        (["gradwell", "train", "--optimizer", "ada"], {"adagrad", "adam", "adamw"}),
        (["gradwell", "treat", "run", "--only", "le"], {"leaky-relu"}),
        (["gradwell", "reproduce", "nielsen-d"], {"nielsen-depth"}),
    ],
)
def test_a_shell_gets_what_fits(words, expected):
    assert set(completed(*words)) == expected


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_a_command(tmp_path):
    """The script itself, in a shell that knows the command by its name."""
    tool = tmp_path / "gradwell"
    tool.write_text(f"#!{sys.executable}\nfrom gradwell.cli import main\nmain()\n")
    tool.chmod(0o755)
    script = f"""
        eval "$({tool} completion bash)"
        COMP_WORDS=(gradwell diag) COMP_CWORD=1
        _gradwell_completion {tool}
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "diagnose", done.stderr
