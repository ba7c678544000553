"""The directory of a search: ``search.json`` with the question, the versions and the claims, its tables, and what was printed.

While the work goes on, what is finished is kept beside it in a directory of the same name that ends in ``.unfinished``;
``--resume`` goes on from there. Nothing in the finished directory knows the time, the machine or the number of workers.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contagion.documents import validate
from contagion.errors import RunError
from contagion.report.summary import to_json
from contagion.rundir import Verification, compare_directories, refuse_inputs, versions
from contagion.runtime.ledger import Ledger
from contagion.runtime.plan import Plan
from contagion.search.question import Question, ask
from graphs.files import WriteError, staged_directory

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from contagion.search.question import Found, Watch

MANIFEST: Final = "search.json"
PRINTED: Final = "table.txt"
LEDGER: Final = "tasks.jsonl"
FORMAT: Final = 1
_LARGE: Final = 10_000
"""Rows from which a table is written as Parquet instead of CSV."""


def unfinished(path: str | os.PathLike[str]) -> Path:
    """Where the finished tasks of a search are kept while it goes on."""
    target = Path(path)
    return target.with_name(target.name + ".unfinished")


@contextmanager
def open_ledger(question: Question, path: str | os.PathLike[str], *, resume: bool, overwrite: bool) -> Iterator[Ledger]:
    """Give the ledger of a search that will be written to ``path``.

    When the block ends well the unfinished directory is removed; otherwise it stays, to be resumed.

    Raises
    ------
    WriteError
        If something is there that may not be replaced.
    RunError
        If there is an unfinished search that is not to be resumed, none to resume, or one of another question.
    """
    target, kept = Path(path), unfinished(path)
    if target.exists() and not overwrite:
        raise WriteError(f"{path}: is there already; choose another name, or add --overwrite")
    if target.exists() and not (target.is_dir() and (is_search(target) or not any(target.iterdir()))):
        raise WriteError(f"{path}: has no {MANIFEST}, so it is no search that could be replaced; choose another name")
    asked = to_json({"format": FORMAT, "question": question.model_dump(mode="json"), "versions": versions()}) + "\n"
    if resume:
        _require_same(kept / MANIFEST, asked)
    elif kept.exists() and not overwrite:
        raise RunError(f"{kept}: holds an unfinished search; add --resume to go on with it, or --overwrite to begin again")
    else:
        shutil.rmtree(kept, ignore_errors=True)
        with staged_directory(kept) as stage:
            (stage / MANIFEST).write_text(asked, encoding="utf-8", newline="\n")
    with Ledger(kept / LEDGER, versions=versions()) as ledger:
        yield ledger
    shutil.rmtree(kept, ignore_errors=True)


def _require_same(manifest: Path, asked: str) -> None:
    """Refuse to resume what is not there, or what was another question."""
    if not manifest.is_file():
        raise RunError(f"{manifest.parent}: holds no unfinished search; leave --resume out")
    then, now = json.loads(manifest.read_text(encoding="utf-8")), json.loads(asked)
    if then != now:
        parts = [f"{part}.{key}" for part in ("question", "versions") for key in now[part] if then.get(part, {}).get(key) != now[part][key]]
        raise RunError(
            f"{manifest}: was begun with another {' and '.join(parts) or 'format'}; ask the same again, or add --overwrite to begin anew"
        )


def write_found(found: Found, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write the directory of a search, whole or not at all.

    Raises
    ------
    WriteError
        If something is there that may not be replaced, or there is no room.
    """
    with staged_directory(path, overwrite=overwrite) as stage:
        for name, table in found.answer.tables().items():
            if len(table) < _LARGE:
                table.to_csv(stage / f"{name}.csv", index=False, lineterminator="\n")
            else:
                table.to_parquet(stage / f"{name}.parquet", index=False, compression="zstd")
        (stage / PRINTED).write_text(found.page.text(), encoding="utf-8", newline="\n")
        (stage / MANIFEST).write_text(to_json(manifest(found)) + "\n", encoding="utf-8", newline="\n")


def manifest(found: Found) -> dict[str, Any]:
    """What ``search.json`` holds."""
    return {
        "format": FORMAT,
        "versions": versions(),
        "question": found.question.model_dump(mode="json"),
        "found": found.answer.summary(),
    }


def is_search(path: str | os.PathLike[str]) -> bool:
    """Whether a path is the directory of a search."""
    return (Path(path) / MANIFEST).is_file()


def verify_search(path: str | os.PathLike[str], *, plan: Plan | None = None, watch: Watch | None = None) -> Verification:
    """Ask the question of a directory again and compare the bytes of every file.

    Raises
    ------
    RunError
        If the directory holds no search that can be read, or a file of its network has changed or gone.
    """
    first = Path(path)
    file = first / MANIFEST
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        question, before = data["question"], dict(data["versions"])
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise RunError(f"{file}: is no search ({error}); ask again") from None
    asked = validate(Question, question, f"{file}, question", RunError)
    refuse_inputs(file, asked.network, asked.inputs)
    found = ask(asked, plan=plan) if watch is None else ask(asked, plan=plan, watch=watch)
    with tempfile.TemporaryDirectory() as scratch:
        again = Path(scratch) / "search"
        write_found(found, again)
        return compare_directories(first, again, before)


def ask_and_keep(
    search: str,
    network: str,
    *,
    arguments: dict[str, Any],
    accounts: int | None = None,
    seed: int | None = None,
    settings: Sequence[str] = (),
    given: Sequence[str] = (),
    policies: Sequence[str] = (),
    risk: str | None = None,
    traders: int | None = None,
    workers: int = 1,
    scheduler: str = "",
    out: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    as_json: bool = False,  # noqa: ARG001 - an option of all commands that this does not need
) -> Found:
    """Ask what was typed, with a bar on stderr, and write the directory that was named.

    Raises
    ------
    ContagionError, GraphError
        If the question, the network or the place of the answer is wrong.
    """
    from contagion.report.progress import progress_bar

    size = {} if traders is None else {"traders": traders}
    question = Question.of(
        search,
        network,
        options={"accounts": accounts, "seed": seed},
        settings=settings,
        given=given,
        policy=policies,
        risk=risk,
        arguments=json.loads(json.dumps(arguments)),
        **size,
    )
    plan = Plan(workers=workers, scheduler=scheduler)
    if out is None:
        if resume:
            raise RunError("--resume goes on with a search into a directory: name it with --out")
        return ask(question, plan=plan, watch=progress_bar)
    with open_ledger(question, out, resume=resume, overwrite=overwrite) as ledger:
        found = ask(question, plan=plan, ledger=ledger, watch=progress_bar)
        write_found(found, out, overwrite=overwrite)
    return found
