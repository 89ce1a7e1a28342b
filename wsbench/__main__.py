"""`python -m wsbench`."""

from wsbench.cli.main import main

if __name__ == "__main__":
    main()
