"""How fast a table of 1,000,000 studies is opened, in how much memory, and how fast one study is then read.

    python benchmarks/table_startup.py [--studies 1000000] [--folder FOLDER]

A Parquet file made by DuckDB: some 2 KB of text a study (findings, prior report, indication), half of it digits that
hardly compress, 1 to 3 films. Each opening is a process of its own. Peak memory is getrusage's maximum resident set,
which also counts pages of mapped files (the system's cache, given back when needed); anonymous memory, which is the
process's alone, is read from /proc/self/smaps_rollup every 50 ms.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import duckdb

from llava.dataset.table import StudyTable

_ROWS = """
SELECT 'S' || i AS study_id, 'P' || (i // 2) AS patient_id,
  'images/' || i || '.png' AS frontal,
  CASE WHEN i % 2 = 0 THEN 'images/' || i || '-lateral.png' END AS lateral,
  CASE WHEN i % 3 = 0 THEN 'images/' || i || '-prior.png' END AS prior_frontal,
  'Cough and fever, patient ' || i AS indication, 'PA and lateral' AS technique, NULL AS comparison,
  repeat('Study ' || i || ': the heart is not enlarged. ', 13) || {digits_a} AS prior_report,
  repeat('No effusion in study ' || (i * 7919) % 1000003 || '. ', 14) || {digits_b} AS findings
FROM range({studies}) rows(i)
"""


def make(path: Path, studies: int) -> None:
    """In a process of its own too: a child's peak memory begins with its parent's."""
    digits = [" || ".join(f"md5(i || '{name}{part}')" for part in range(16)) for name in "ab"]
    rows = _ROWS.format(studies=studies, digits_a=digits[0], digits_b=digits[1])
    with duckdb.connect() as db:
        db.execute(f"COPY ({rows}) TO '{path}' (FORMAT parquet)")


def opened(path: Path, cache: Path) -> None:
    """In a process of its own: open, read 20,000 studies at random places, print one line."""
    import numpy as np

    anonymous_kb, done = [0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(anonymous_kb, done))
    watcher.start()
    begun, cpu_begun = time.perf_counter(), time.process_time()
    table = StudyTable.open(path, cache=cache, need_findings=True)
    longest = int(table.estimated_tokens(1369).max())
    took, cpu = time.perf_counter() - begun, time.process_time() - cpu_begun
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    places = np.random.default_rng(0).integers(len(table), size=20_000).tolist()
    cpu_begun = time.process_time()
    characters = sum(len(table[place].findings or "") for place in places)
    each = (time.process_time() - cpu_begun) / len(places)
    done.set()
    watcher.join()
    print(
        f"{len(table):,} studies opened in {took:.1f} s ({cpu:.1f} s of one CPU), "
        f"peak {peak_kb / 2**20:.2f} GB resident, {anonymous_kb[0] / 2**20:.2f} GB of it anonymous; "
        f"a study at random {each * 1e6:.0f} us of CPU ({characters / len(places):.0f} characters of findings); "
        f"the longest has about {longest:,} tokens"
    )


def _watch(peak_kb: list[int], done: threading.Event) -> None:
    while not done.wait(0.05):
        for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Anonymous:"):
                peak_kb[0] = max(peak_kb[0], int(line.split()[1]))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="of the files, some 5 GB; else a temporary one")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--open", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make(options.make, options.studies)
        return 0
    if options.open:
        opened(*options.open)
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "studies.parquet"
        command = [sys.executable, __file__, "--studies", str(options.studies), "--make", str(path)]
        subprocess.run(command, check=True)
        print(f"Parquet of {path.stat().st_size / 2**30:.2f} GB", flush=True)
        for what in ("first", "again"):
            print(f"  {what}: ", end="", flush=True)
            command = [sys.executable, __file__, "--open", str(path), f"{folder}/cache"]
            subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
