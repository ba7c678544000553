"""Files and directories that are there whole or not at all.

What is written goes to a hidden name beside its target and is moved there at the end; an error on the way leaves
the target as it was and nothing else behind.
"""

from __future__ import annotations

import shutil
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from graphs.errors import GraphError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator


class WriteError(GraphError):
    """A file or a directory cannot be written where it is wanted."""


@contextmanager
def staged_file(path: str | os.PathLike[str], *, overwrite: bool = True) -> Iterator[Path]:
    """Give a name to write to; when the block ends without an error, what is there takes the place of ``path``.

    Parameters
    ----------
    path
        Where the file is wanted; its directory is made if need be.
    overwrite
        Whether a file that is there already may be replaced.

    Yields
    ------
    Path
        The name to write to.

    Raises
    ------
    WriteError
        If there is a directory of that name, a file that may not be replaced, or no room or right to write.
    """
    target = Path(path).resolve()
    if target.is_dir():
        raise WriteError(f"{path}: is a directory; name a file")
    _refuse_existing(target, path, overwrite=overwrite)
    stage = _beside(target)
    try:
        yield stage
        stage.replace(target)
    except OSError as error:
        raise _cannot(path, error) from error
    finally:
        stage.unlink(missing_ok=True)


@contextmanager
def staged_directory(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give an empty directory to fill; when the block ends without an error, it takes the place of ``path``.

    Parameters
    ----------
    path
        Where the directory is wanted; its parent is made if need be.
    overwrite
        Whether a directory that is there already may be replaced, with all that is in it. It is moved aside, and
        removed only when the new one stands in its place.

    Yields
    ------
    Path
        The directory to fill.

    Raises
    ------
    WriteError
        If there is a file of that name, a directory that may not be replaced, or no room or right to write.
    """
    target = Path(path).resolve()
    if target.exists() and not target.is_dir():
        raise WriteError(f"{path}: is a file; name a directory")
    _refuse_existing(target, path, overwrite=overwrite)
    stage, aside = _beside(target), _beside(target)
    try:
        stage.mkdir()
        yield stage
        if target.exists():
            target.rename(aside)
        try:
            stage.rename(target)
        except BaseException:
            if aside.exists():
                aside.rename(target)
            raise
        shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise _cannot(path, error) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _refuse_existing(target: Path, path: str | os.PathLike[str], *, overwrite: bool) -> None:
    if target.exists() and not overwrite:
        raise WriteError(f"{path}: is there already; choose another name, or ask to overwrite it")


def _beside(target: Path) -> Path:
    """Return a fresh hidden name in the same directory, so that a move stays on one file system."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot(target.parent, error) from error
    return target.parent / f".{target.name}.{uuid.uuid4().hex[:12]}"


def _cannot(path: str | os.PathLike[str], error: OSError) -> WriteError:
    return WriteError(f"{path}: cannot be written, {error.strerror or error}; choose another place, or make room")


def one_line(error: Exception) -> str:
    """What an error of another library says, fit to stand inside a sentence."""
    return " ".join(str(error).split()).rstrip(".")
