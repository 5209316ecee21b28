"""`make bench`: every bench, one after the other; `python -m bench NAME...` runs some.

In: names of benches. Out: their JSON lines. Never: two at once, they would measure each other.
"""

from __future__ import annotations

import subprocess
import sys

BENCHES = ("decode", "stages", "identity", "sink", "pipeline", "recovery")
"""`bench/bench_<name>.py`, in the order of the flow; `transactions` needs Apache Kafka and is run by name."""


def main(names: list[str]) -> int:
    """Runs them; the first exit code that is not 0."""
    for name in names or BENCHES:
        done = subprocess.run([sys.executable, "-m", f"bench.bench_{name}"], check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
