"""A run directory: ``run.json``, the tables of the run as Parquet, and what was printed, so that a run can be repeated.

``run.json`` holds the job (network by name or by path with the hash of each file, scenario and policy as text, settings,
seed), the versions that computed it, and what was claimed. Nothing in the directory knows the time or the machine: two
runs of one job give the same bytes.
"""

from __future__ import annotations

import filecmp
import json
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from contagion.documents import validate
from contagion.errors import RunError
from contagion.job import Answer, Job, carry_out, hash_inputs
from contagion.report.facts import compare, frame
from contagion.report.summary import claimed, half_step, summarise, to_json
from contagion.report.table import lay_out
from graphs.files import WriteError, staged_directory

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import pandas as pd

    from contagion.job import Watch

MANIFEST: Final = "run.json"
PRINTED: Final = "table.txt"
FORMAT: Final = 1
GRAPH_NODES: Final = 2000
"""Most nodes of the graph that is kept for export."""
_DISTRIBUTIONS: Final = ("contagion-graph", "numba", "numpy", "pandas", "pyarrow", "scipy")


def refuse_existing(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Say before the work that a run directory cannot be written.

    Raises
    ------
    WriteError
        If something of that name is there that may not be replaced: anything, or with ``overwrite`` what is no run directory.
    """
    target = Path(path)
    if target.exists() and not overwrite:
        raise WriteError(f"{path}: is there already; choose another name, or add --overwrite")
    if target.exists() and not (target.is_dir() and (is_run(target) or not any(target.iterdir()))):
        raise WriteError(f"{path}: has no {MANIFEST}, so it is no run that could be replaced; choose another name")


def write_run(answer: Answer, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a run directory, whole or not at all.

    Parameters
    ----------
    answer
        What to write.
    path
        The directory to make.
    overwrite
        Whether a run that is there already may be replaced.

    Raises
    ------
    WriteError
        If it may not, or there is no room.
    """
    refuse_existing(path, overwrite=overwrite)
    with staged_directory(path, overwrite=overwrite) as stage:
        for name, table in tables(answer).items():
            _write_table(table, stage / f"{name}.parquet")
        _write_text(stage / PRINTED, lay_out(summarise(answer)).text())
        _write_text(stage / MANIFEST, to_json(manifest(answer)) + "\n")


def print_answer(answer: Answer, *, as_json: bool = False) -> None:
    """Print the table of ten seconds on stdout, or all there is to say as JSON."""
    said = summarise(answer)
    if as_json:
        sys.stdout.write(to_json(said) + "\n")
    else:
        lay_out(said).show()


def tables(answer: Answer) -> dict[str, pd.DataFrame]:
    """Every table of a run directory by name."""
    from contagion.gephi import graph_tables

    found = answer.cascade.tables()
    facts = compare(answer)
    if facts:
        found["facts"] = frame(facts)
    if answer.resolution is not None:
        found["half_step"] = answer.resolution.frame()
    if answer.adjustment is not None:
        found["adjustment"] = answer.adjustment.frame()
    seed = answer.job.options.get("seed", 0)
    return found | graph_tables(answer.cascade, max_nodes=GRAPH_NODES, seed=seed, net=answer.net)


def manifest(answer: Answer) -> dict[str, Any]:
    """What ``run.json`` holds."""
    return {
        "format": FORMAT,
        "versions": versions(),
        "job": answer.job.model_dump(mode="json"),
        "claimed": claimed(answer),
        "half_step": half_step(answer),
    }


def versions() -> dict[str, str]:
    """Versions that decide the bytes: of Python, of this program, and of what computes and writes."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _write_table(table: pd.DataFrame, file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), file, compression="zstd")


def _write_text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", newline="\n")


def is_run(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a run directory."""
    return (Path(path) / MANIFEST).is_file()


def read_job(path: Path) -> tuple[Job, dict[str, str]]:
    """Job of a run directory, and the versions that carried it out.

    Raises
    ------
    RunError
        If the directory holds no run, or one that cannot be read.
    """
    file = path / MANIFEST
    if not path.is_dir():
        raise RunError(f"{path}: is no directory; name one that `contagion run -o` has written")
    if not file.is_file():
        raise RunError(f"{file}: is not there; name a directory that `contagion run -o` has written")
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{file}: is no JSON ({error}); run again") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else None
        raise RunError(f"{file}, key format: {found!r} is unknown here, which reads format {FORMAT}; run again")
    job, known = data.get("job"), data.get("versions")
    if not isinstance(job, dict) or not isinstance(known, dict):
        raise RunError(f"{file}: has no job and versions; run again")
    return validate(Job, job, f"{file}, job", RunError), {str(name): str(number) for name, number in known.items()}


@dataclass(frozen=True, slots=True)
class FileCheck:
    """A file of a run directory beside that of its repetition."""

    file: str
    state: Literal["ok", "different", "missing", "unexpected"]


@dataclass(frozen=True, slots=True)
class Verification:
    """A run repeated.

    Attributes
    ----------
    files
        Every file of either, by name.
    changed_versions
        What the run was computed with and is not here, as sentences.
    """

    files: tuple[FileCheck, ...]
    changed_versions: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every file came out the same."""
        return all(check.state == "ok" for check in self.files)


def verify_run(path: str | os.PathLike[str], *, watch: Watch | None = None) -> Verification:
    """Repeat a run from its manifest in a temporary directory and compare the bytes of every file.

    Raises
    ------
    RunError
        If the directory holds no run, or a file of its network has changed or gone.
    """
    first = Path(path)
    job, before = read_job(first)
    refuse_inputs(first / MANIFEST, job.network, job.inputs)
    answer = carry_out(job) if watch is None else carry_out(job, watch=watch)
    with tempfile.TemporaryDirectory() as scratch:
        again = Path(scratch) / "run"
        write_run(answer, again)
        return compare_directories(first, again, before)


def compare_directories(first: Path, again: Path, before: Mapping[str, str]) -> Verification:
    """Compare every file of two directories, and the versions of the first with those that are here."""
    changed = tuple(
        f"{name} {before.get(name, 'unknown')} then, {number} now" for name, number in versions().items() if before.get(name) != number
    )
    names = sorted({file.name for place in (first, again) for file in place.iterdir()})
    return Verification(tuple(FileCheck(name, _compare(first / name, again / name)) for name in names), changed)


def _compare(then: Path, now: Path) -> Literal["ok", "different", "missing", "unexpected"]:
    if not then.exists():
        return "missing"
    if not now.exists():
        return "unexpected"
    return "ok" if then.is_file() and filecmp.cmp(then, now, shallow=False) else "different"


def refuse_inputs(file: Path, network: str, inputs: dict[str, str]) -> None:
    """Refuse a network whose files are not those that a manifest names.

    Raises
    ------
    RunError
        If one has changed, is new or is gone.
    """
    now = hash_inputs(network)
    if inputs and not now:
        raise RunError(f"{file}: its network {network!r} is not there; go where the run was made, or put the network back")
    wrong = [name for name in sorted(inputs.keys() | now.keys()) if inputs.get(name) != now.get(name)]
    if wrong:
        what = ", ".join(f"{name} {_changed(name, inputs, now)}" for name in wrong)
        raise RunError(f"{file}: its network {network!r} is not what was run: {what}; put the old files back, or run again")


def _changed(name: str, before: dict[str, str], now: dict[str, str]) -> str:
    if name not in before:
        return "is new"
    return "is gone" if name not in now else f"has changed (SHA-256 {now[name][:12]}… instead of {before[name][:12]}…)"
