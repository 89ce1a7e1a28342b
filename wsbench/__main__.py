"""The command `wsbench`, also as `python -m wsbench`."""

import signal
import sys


def main() -> None:
    """Run the command line. An interrupt while it is imported has its exit code, too."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    from wsbench.cli.main import main as run  # noqa: PLC0415 - see above

    signal.signal(signal.SIGINT, before)
    if pressed:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
