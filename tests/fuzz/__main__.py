"""Coverage-guided fuzzing of all parsers of foreign input (`properties.py`), with atheris, and random command lines.

    make fuzz ARGS='--seconds 600 frames'
    make fuzz ARGS='--seconds 600 command-lines'

Every subject runs for N seconds in a separate process. Interesting inputs stay in .fuzz/SUBJECT for the next run. An
input that fails is a file there; its name is printed, and the exit code is 1. `--replay FILE SUBJECT` runs an input
again, with a traceback.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import time
from pathlib import Path

FOUND = Path(__file__).parents[2] / ".fuzz"
_LONGEST = 4096
_SLOWEST_S = 20
_GRACE_S = 120
_COMMAND_LINES = "command-lines"
_LINES_AT_A_TIME = 12
_DONE = re.compile(r"stat::number_of_executed_units: *(\d+)")


def _fuzz_here(subject: str, flags: list[str]) -> None:
    """Fuzz in this process; atheris does not return."""
    import atheris  # noqa: PLC0415  # an extra of its own

    with atheris.instrument_imports(include=["wsbench", "websockets"]):
        from fuzz import properties  # noqa: PLC0415  # instrumented as it is imported
    atheris.Setup([subject, *flags], properties.SUBJECTS[subject])
    atheris.Fuzz()


def _fuzz(subject: str, seconds: int) -> bool:
    """Fuzz one subject in a new process; return whether no input failed."""
    corpus = FOUND / subject
    corpus.mkdir(parents=True, exist_ok=True)
    from fuzz import properties  # noqa: PLC0415  # not in the process that fuzzes

    for number, seed in enumerate(properties.seeds(subject)):
        (corpus / f"seed-{number}").write_bytes(seed[:_LONGEST])
    flags = [f"-max_total_time={seconds}", f"-max_len={_LONGEST}", f"-timeout={_SLOWEST_S}", "-print_final_stats=1",
             f"-artifact_prefix={corpus}/", str(corpus)]  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "fuzz", "--here", subject, *flags],
        capture_output=True, text=True, errors="replace", timeout=seconds + _GRACE_S, check=False,
    )  # fmt: skip
    executed = _DONE.search(ended.stderr)
    print(f"{subject:16} {int(executed[1]) if executed else 0:>12,} inputs in {seconds} s: ", end="")
    if ended.returncode == 0 and executed:
        print("nothing found", flush=True)
        return True
    print(f"FAILED (exit code {ended.returncode})\n{(ended.stdout + ended.stderr)[-4000:]}", flush=True)
    return False


def _run_command_lines(seconds: int) -> bool:
    """Run random command lines (`command_lines.py`), other ones each time; return whether all ended well."""
    from fuzz import command_lines  # noqa: PLC0415  # not in the process that fuzzes

    seed, ran, deadline = random.randrange(2**32), 0, time.monotonic() + seconds
    with command_lines.servers() as urls:
        while time.monotonic() < deadline:
            lines = command_lines.command_lines(_LINES_AT_A_TIME, seed + ran)
            ran += len(lines)
            if found := command_lines.problems(lines, urls):
                print(f"{_COMMAND_LINES:16} FAILED\n" + "\n\n".join(found), flush=True)
                return False
    print(f"{_COMMAND_LINES:16} {ran:>12,} runs in {seconds} s: nothing found", flush=True)
    return True


def main() -> int:
    if sys.argv[1:2] == ["--here"]:
        _fuzz_here(sys.argv[2], sys.argv[3:])
    from fuzz import properties  # noqa: PLC0415  # too early above: it would not be instrumented

    known = [*properties.SUBJECTS, _COMMAND_LINES]
    parser = argparse.ArgumentParser(prog="fuzz", description="Fuzz all parsers of foreign input.")
    parser.add_argument("--seconds", type=int, default=60, metavar="N", help="for each subject (default 60)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input again")
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"of {', '.join(known)}")
    arguments = parser.parse_args()
    subjects = arguments.subjects or (list(properties.SUBJECTS) if arguments.replay else known)
    if unknown := set(subjects) - set(known):
        parser.error(f"no such subject: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if arguments.replay is not None:
        for subject in subjects:
            properties.SUBJECTS[subject](arguments.replay.read_bytes())
        return 0
    failed = [
        subject
        for subject in subjects
        if not (
            _run_command_lines(arguments.seconds) if subject == _COMMAND_LINES else _fuzz(subject, arguments.seconds)
        )
    ]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
