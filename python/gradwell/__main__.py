"""``python -m gradwell`` is the ``gradwell`` command."""

from gradwell.cli import main

main()
