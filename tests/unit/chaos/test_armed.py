"""Every window of the hunt stands in code that is there: an armed worker that can't start would be hunted in vain."""

import subprocess
import sys

ARMS = """
from tests.chaos.armed import Charge, arm
arm(Charge("no window", 1, 0, "no file"))
"""


def test_every_seam_names_a_function_of_the_product() -> None:
    armed = subprocess.run([sys.executable, "-c", ARMS], check=False, capture_output=True, text=True)
    assert (armed.returncode, armed.stderr) == (0, "")
