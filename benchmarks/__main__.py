"""`make bench`: every benchmark, one after the other; what they print is what the README says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# Open-i texts and labels may not be shipped; where they are, these variables say.
OPENI = [os.environ.get("CARINA_OPENI_GOLD", ""), os.environ.get("CARINA_OPENI_REPORTS", "")]


def main() -> int:
    """Run each script in a process of its own; the exit code is 1 when one failed."""
    throughput = "endpoint_throughput.py"
    commands = [["rules_speed.py"], ["device_accuracy.py"], [throughput], [throughput, "--memory"]]
    chexbert = "chexbert_speed.py"
    commands += [["image_speed.py"], ["encoder_speed.py"], ["encoder_mfu.py"], ["train_speed.py"], ["table_startup.py"]]
    commands += [["score_speed.py"], ["curve_speed.py"], [chexbert], [chexbert, "--words", "5", "15"]]
    if all(OPENI):
        commands.insert(2, ["openi_accuracy.py", *OPENI])
    else:
        print("openi_accuracy: skipped; set CARINA_OPENI_GOLD (csv) and CARINA_OPENI_REPORTS (tgz) to run it\n")
    failed = 0
    for script, *options in commands:
        print(f"== {script}", flush=True)
        done = subprocess.run([sys.executable, str(HERE / script), *options], check=False)
        failed += done.returncode != 0
        print(flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
