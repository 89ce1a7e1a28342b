"""The command `wsbench`, also as `python -m wsbench`: an interrupt during imports has its exit code, too."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from wsbench.cli.main import main as run  # noqa: PLC0415 - see above
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
