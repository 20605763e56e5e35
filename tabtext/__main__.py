"""``python -m tabtext``: the command line, also for torchrun, which starts modules."""

from tabtext.cli import main

main()
