"""Let ``python -m rcakit`` be the command line."""

from rcakit.cli import main

if __name__ == "__main__":
    main()
