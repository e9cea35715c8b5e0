"""`python -m node.entrypoints.cli`: the console script without its wrapper."""

from node.entrypoints.cli import main

main()
