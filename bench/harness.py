"""What every benchmark shares: sides that run in processes of their own, medians, one JSON file.

A *side* is one command that does the work once and prints one JSON object as its last line. Each
side runs in its own process, so that peak memory is its own and a peer can live in its own virtual
environment. Sides are repeated in turn (A B C A B C ...), because a shared machine drifts, and the
median is quoted. A side whose package is not installed is reported as absent; the others go on.

A side exits with status ``ABSENT`` (77) where its package is missing.
"""

import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ABSENT = 77
RESULTS = Path(__file__).parent / "results"

Record = dict[str, Any]


def machine() -> Record:
    """Describe the machine and the versions that the figures depend on."""
    cpu = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), cpu)
    packages = ["torch", "pandas", "numpy", "pyarrow", "numba", "scikit-learn", "spacy"]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def peak_megabytes() -> float:
    """Peak resident memory of this process so far, in MB (10^6 bytes)."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux, ru_maxrss starts with the memory of the process that launched this one.
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def report(record: Mapping[str, Any]) -> None:
    """Print a side's result; call it last, in the side's own process."""
    print(json.dumps({**record, "peak_mb": round(peak_megabytes(), 1)}), flush=True)


def absent(package: str) -> None:
    """Leave a side whose package is not installed; the benchmark says so and goes on."""
    print(f"{package} is not installed in {sys.executable}", file=sys.stderr)
    raise SystemExit(ABSENT)


def seed() -> int:
    """The seed of this run of a side: the number of the run, from 0."""
    return int(os.environ.get("TABTEXT_BENCH_SEED", "0"))


def run_side(command: Sequence[str], *, seed: int = 0) -> Record | None:
    """Run one side once; its JSON object, or None when its package is absent."""
    environment = os.environ | {"TABTEXT_BENCH_SEED": str(seed)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode == ABSENT:
        print(f"  skipped: {done.stderr.strip().splitlines()[-1]}")
        return None
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
    result: Record = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def compare(sides: Mapping[str, Sequence[str]], *, runs: int) -> dict[str, list[Record]]:
    """Run all sides in turn, ``runs`` times with seeds 0, 1 ...; absent sides are left out."""
    records: dict[str, list[Record]] = {}
    missing: set[str] = set()
    for turn in range(runs):
        for name, command in sides.items():
            if name in missing:
                continue
            record = run_side(command, seed=turn)
            if record is None:
                missing.add(name)
                continue
            records.setdefault(name, []).append(record)
            print(f"  {turn + 1}/{runs} {name}: {record}", flush=True)
    return records


def medians(records: Sequence[Mapping[str, Any]]) -> Record:
    """Median of every numeric field over the runs of one side."""
    fields = [key for key, value in records[0].items() if isinstance(value, int | float)]
    return {key: statistics.median(record[key] for record in records) for key in fields}


def write_result(
    name: str, settings: Mapping[str, Any], sides: Mapping[str, Any], path: Path | None = None
) -> Path:
    """Write ``bench/results/<name>.json``, or another file; whole or not at all."""
    path = RESULTS / f"{name}.json" if path is None else path
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"benchmark": name, "machine": machine(), "settings": settings, "sides": sides}
    half = path.with_suffix(".half")
    half.write_text(json.dumps(content, indent=2) + "\n")
    half.replace(path)
    return path


def read_result(name: str, path: Path | None = None) -> Record:
    """An earlier result; without one, only empty settings and sides."""
    path = RESULTS / f"{name}.json" if path is None else path
    if not path.exists():
        return {"settings": {}, "sides": {}}
    result: Record = json.loads(path.read_text())
    return result


def read_sides(name: str) -> Record:
    """The sides of an earlier result, for a script that measures a part anew."""
    sides: Record = read_result(name)["sides"]
    return sides


def summarise(records: Mapping[str, Sequence[Record]]) -> dict[str, Record]:
    """Medians of every side, with the single runs kept beside them."""
    return {name: {"median": medians(runs), "runs": list(runs)} for name, runs in records.items()}


def own_python(peer: str) -> str:
    """Python of the peer's own environment: ``$TABTEXT_BENCH_<PEER>``, else this interpreter."""
    return os.environ.get(f"TABTEXT_BENCH_{peer.upper()}", sys.executable)


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Callable[[Any], str]]) -> str:
    """Rows as a Markdown table; ``columns`` maps a field to the function that formats it."""
    head = "| " + " | ".join(columns) + " |"
    rule = "|" + "---|" * len(columns)
    body = [
        "| "
        + " | ".join(form(row[name]) if name in row else "-" for name, form in columns.items())
        + " |"
        for row in rows
    ]
    return "\n".join([head, rule, *body])
