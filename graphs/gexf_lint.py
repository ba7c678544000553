"""A look at a GEXF file by the rules of those who will read it.

The file is read in a stream; what is kept is the set of ids and of edges. The rules are in :mod:`graphs.gexf_rules`, but for two that
need the bytes: ``declares_utf8`` (Desktop guesses the encoding of a file that does not say it) and ``well_formed`` (Desktop aborts at a
character that XML cannot hold).
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from typing import IO, TYPE_CHECKING, cast
from xml.etree.ElementTree import Element, ParseError, iterparse

from graphs.errors import Finding, ReadError
from graphs.gexf_rules import RULES, Seen

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from graphs.gexf_rules import Fault

_UTF8 = re.compile(rb"\s*(\xef\xbb\xbf)?<\?xml[^>]*encoding=[\"']utf-8[\"']", re.IGNORECASE)


def lint_gexf(path: str | os.PathLike[str], *, limit: int = 1000) -> list[Finding]:
    """List what readers would drop, change or refuse in a file.

    Parameters
    ----------
    path
        A GEXF file; one whose name ends in ``.gz`` is unpacked.
    limit
        Most findings for each rule; how many more there are is said in one finding.

    Returns
    -------
    list[Finding]
        ``table`` is the kind of element, ``row`` its number in the file from 1 (for ``well_formed`` the line).

    Raises
    ------
    ReadError
        If there is no such file, or it cannot be unpacked.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "empty.gexf")
    ...     _ = file.write_text('<?xml version="1.0" encoding="UTF-8"?><gexf version="1.3"><graph defaultedgetype="directed"/></gexf>')
    ...     [finding.check for finding in lint_gexf(file)]
    ['lists_present', 'lists_present']
    """
    findings: list[Finding] = []
    found: Counter[str] = Counter()

    def note(check: str, table: str, row: int, fault: Fault) -> None:
        found[check] += 1
        if found[check] <= limit:
            findings.append(Finding(check, table, row, *fault))

    try:
        with _open(path) as file:
            start = file.read(200)
            if not _UTF8.match(start):
                note("declares_utf8", "file", 0, ("encoding", repr(start[:40]), 'begin with <?xml version="1.0" encoding="UTF-8"?>'))
        with _open(path) as file:
            _walk(file, note)
    except ParseError as error:
        line = error.position[0]
        note("well_formed", "file", line, ("", str(error), "escape markup and leave out characters that XML cannot hold"))
    except (OSError, EOFError, zlib.error) as error:
        raise ReadError(f"{path}: cannot be read, {error}; name a GEXF file") from error
    for check, count in found.items():
        if count > limit:
            findings.append(Finding(check, "file", 0, "", f"{count - limit} more", "raise the limit to see them"))
    return findings


def _open(path: str | os.PathLike[str]) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if str(path).endswith(".gz") else open(path, "rb")  # noqa: PTH123


def _walk(file: IO[bytes], note: Callable[[str, str, int, Fault], None]) -> None:
    seen = Seen()
    parents: list[Element] = []
    for event, element in iterparse(file, events=("start", "end")):  # noqa: S314 - expat itself bounds what entities expand to
        tag = element.tag.rpartition("}")[2]
        if event == "start":
            parents.append(element)
            seen.note_list(tag, element)
            if tag in ("gexf", "graph"):
                _look(tag, element, seen, note)
        else:
            parents.pop()
            if tag in ("attributes", "node", "edge"):
                _look(tag, element, seen, note)
                del parents[-1][:]  # what has been looked at is dropped, so that memory does not grow with the file
    _look("end", element, seen, note)


def _look(tag: str, element: Element, seen: Seen, note: Callable[[str, str, int, Fault], None]) -> None:
    seen.counts[tag] += 1
    for check, rule in RULES[tag].items():
        for fault in rule(element, seen):
            note(check, *(("file", 0) if tag == "end" else (tag, seen.counts[tag])), fault)
