"""`python -m node.cli`: the console script without its wrapper."""

from node.cli import main

main()
