"""``python -m tabtext.cli``: the command line."""

from tabtext.cli import main

main()
