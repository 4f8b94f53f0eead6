"""`python -m framefuse`: the program, where the script is not on PATH."""

from framefuse.cli.main import main

main()
