"""What readers of GEXF really do with a file, as named rules.

Each rule is a function that looks at one element and says in its docstring what it rests on. *Desktop* is Gephi Desktop 0.10.1, *Lite*
Gephi Lite 0.6.3, which reads through graphology-gexf 0.13.2; the facts were measured with them, and with networkx 3.6. A file that
passes shows in all of them what it was meant to show. :mod:`graphs.gexf_lint` runs the rules.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from math import inf, nan
from typing import TYPE_CHECKING, Final

from graphs.gexf import BRIGHTEST, INT32, LARGEST, LOOKS, RESERVED, SMALLEST, WIDEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from xml.etree.ElementTree import Element

    Fault = tuple[str, str, str]  # column, value, remedy
    Rule = Callable[[Element, "Seen"], Iterator[Fault]]

VERSIONS: Final = ("1.0", "1.1", "1.2", "1.3")
TYPES: Final = ("string", "integer", "long", "float", "double", "boolean")
CUT_OFF: Final = 5000.0
SINGLE: Final = (2.0**-150, 2.0**128 - 2.0**103)
"""What lies strictly between is a positive finite number in single precision too."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|NaN|[+-]?Infinity|-?INF")
_WHOLE = re.compile(r"[+-]?\d+")


@dataclass(slots=True)
class Seen:
    """What has been seen of a file so far: the state that rules share."""

    dynamic: bool = False
    blocks: list[tuple[str, str]] = field(default_factory=list)
    columns: dict[str, dict[str, tuple[str, str]]] = field(default_factory=lambda: {"node": {}, "edge": {}})
    span: tuple[float, float] | None = None
    sizes: tuple[float, float] = (inf, -inf)
    ids: dict[str, set[str]] = field(default_factory=lambda: {"node": set(), "edge": set()})
    edges: set[tuple[str, str, str]] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    declared: dict[str, str] = field(default_factory=dict)

    def note_list(self, tag: str, element: Element) -> None:
        """Keep the count that a list of nodes or edges declares."""
        if tag in ("nodes", "edges"):
            self.declared[tag] = element.get("count", "")


RULES: Final[dict[str, dict[str, Rule]]] = {tag: {} for tag in ("gexf", "graph", "attributes", "node", "edge", "end")}
"""Rules by the element they look at and then by name; those under ``end`` come when the whole file has been read."""


def _on(*tags: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        for tag in tags:
            RULES[tag][rule.__name__] = rule
        return rule

    return register


def _child(element: Element, name: str) -> Element | None:
    return next((child for child in element if child.tag.rpartition("}")[2] == name), None)


def _values(element: Element) -> Iterator[Element]:
    for child in element:
        if child.tag.endswith("attvalues"):
            yield from child


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _number(text: str | None) -> float:
    """Read a number as Java does, NaN where it would not."""
    return float(text.replace("INF", "inf")) if text and _NUMBER.fullmatch(text) else nan


@_on("gexf")
def known_version(element: Element, seen: Seen) -> Iterator[Fault]:  # noqa: ARG001
    """Desktop warns of a version it does not know and logs older ones as deprecated."""
    if element.get("version") not in VERSIONS:
        yield "version", repr(element.get("version")), 'write version="1.3"'


@_on("graph")
def directed_only(element: Element, seen: Seen) -> Iterator[Fault]:  # noqa: ARG001
    """Desktop drops an undirected edge of a directed graph; the default of the format is undirected."""
    if element.get("defaultedgetype") != "directed":
        yield "defaultedgetype", repr(element.get("defaultedgetype")), "write directed"


@_on("graph")
def text_ids(element: Element, seen: Seen) -> Iterator[Fault]:  # noqa: ARG001
    """With ``idtype`` integer Desktop needs whole numbers as ids of both nodes and edges."""
    if element.get("idtype", "string") != "string":
        yield "idtype", repr(element.get("idtype")), "write string"


@_on("graph")
def plain_time(element: Element, seen: Seen) -> Iterator[Fault]:
    """Desktop knows no ``timeformat`` integer, networkx fails without one, and intervals and timestamps exclude each other."""
    seen.dynamic = element.get("mode") == "dynamic"
    if seen.dynamic:
        for name, wanted in (("timeformat", "double"), ("timerepresentation", "interval")):
            if element.get(name) != wanted:
                yield name, repr(element.get(name)), f"write {wanted}"


@_on("attributes")
def dynamic_block_first(element: Element, seen: Seen) -> Iterator[Fault]:
    """Lite keeps the last block of a class only, so the columns that change come first and each mode has one block."""
    side, mode = element.get("class", ""), element.get("mode", "static")
    if (side, mode) in seen.blocks or (mode == "dynamic" and (side, "static") in seen.blocks):
        yield "mode", f"{side} {mode}", "write one dynamic block and after it one static block for each class"
    seen.blocks.append((side, mode))


@_on("attributes")
def no_dynamic_default(element: Element, seen: Seen) -> Iterator[Fault]:  # noqa: ARG001
    """Desktop drops a column that has a default in a dynamic block."""
    for column in element:
        if element.get("mode") == "dynamic" and _child(column, "default") is not None:
            yield column.get("id", ""), "default", "leave out the default"


@_on("attributes")
def known_type(element: Element, seen: Seen) -> Iterator[Fault]:
    """Desktop loses a column of type anyURI; graphology takes a type it does not know as text."""
    columns = seen.columns.setdefault(element.get("class", ""), {})
    for column in element:
        kind = column.get("type", "")
        columns[column.get("id", "")] = (kind, element.get("mode", "static"))
        if kind not in TYPES and not kind.startswith("list"):
            yield column.get("id", ""), repr(kind), f"choose one of {', '.join(TYPES)}"


@_on("attributes")
def column_named_once(element: Element, seen: Seen) -> Iterator[Fault]:
    """Desktop puts ids of columns into lower case, so that ``Eq`` and ``eq`` collide."""
    names = Counter(name.lower() for name in seen.columns[element.get("class", "")])
    mine = Counter(column.get("id", "").lower() for column in element)
    for column in element:
        name = column.get("id", "")
        if names[name.lower()] > 1 or mine[name.lower()] > 1:
            yield name, repr(name), "choose ids that differ in more than case"


@_on("attributes")
def column_not_reserved(element: Element, seen: Seen) -> Iterator[Fault]:  # noqa: ARG001
    """Desktop overwrites or ignores ``id``, ``label``, ``timeset`` and ``weight``; Lite and networkx keep others for themselves."""
    for column in element:
        if column.get("id", "").lower() in RESERVED | LOOKS:
            yield column.get("id", ""), repr(column.get("id")), "choose another id"


@_on("attributes")
def column_readable(element: Element, seen: Seen) -> Iterator[Fault]:  # noqa: ARG001
    """Lite shows the id as the name of a column that it finds undeclared: ``exposure`` says something, ``0`` does not."""
    for column in element:
        name = column.get("id", "")
        if name != column.get("title") or not name or name.isdigit():
            yield name, f"{name!r}, title {column.get('title')!r}", "let id and title be the same word"


@_on("node", "edge")
def id_once(element: Element, seen: Seen) -> Iterator[Fault]:
    """An id is the key of a node or an edge in every reader."""
    tag, name = _tag(element), element.get("id")
    if name in seen.ids[tag] or (not name and tag == "node"):
        yield "id", repr(name), f"give each {tag} an id of its own"
    if name:
        seen.ids[tag].add(name)


@_on("node", "edge")
def id_on_one_line(element: Element, seen: Seen) -> Iterator[Fault]:  # noqa: ARG001
    """Desktop warns of line breaks in ids."""
    if re.search(r"[\r\n]", element.get("id", "")):
        yield "id", repr(element.get("id")), "take the line break out"


@_on("node")
def label_given(element: Element, seen: Seen) -> Iterator[Fault]:  # noqa: ARG001
    """Desktop shows a node without a label as an empty one and does not fall back on its id."""
    if not element.get("label", "").strip():
        yield "label", repr(element.get("label")), "write the id as label"


@_on("node", "edge")
def column_declared(element: Element, seen: Seen) -> Iterator[Fault]:
    """Strict graphology throws at a value of an undeclared column; Lite shows it as text."""
    for value in _values(element):
        if value.get("for") not in seen.columns[_tag(element)]:
            yield str(value.get("for")), repr(value.get("value")), "declare the column in a block of that class"


@_on("node", "edge")
def value_parses(element: Element, seen: Seen) -> Iterator[Fault]:
    """Desktop loses ``inf``, ``nan`` and an integer 3.0 or 3000000000, as Java does; graphology takes ``true`` in lower case only."""
    for value in _values(element):
        kind, text = seen.columns[_tag(element)].get(value.get("for", ""), ("string", ""))[0], value.get("value", "")
        good = True
        if kind in ("integer", "long"):
            bound = INT32 if kind == "integer" else 2**63
            good = bool(_WHOLE.fullmatch(text)) and -bound <= int(text) < bound
        elif kind in ("float", "double"):
            good = bool(_NUMBER.fullmatch(text))
        elif kind == "boolean":
            good = text in ("true", "false")
        if text and not good:
            yield value.get("for", ""), repr(text), f"write it as {kind} in Java's syntax"


@_on("node", "edge")
def value_not_empty(element: Element, seen: Seen) -> Iterator[Fault]:  # noqa: ARG001
    """Desktop skips an empty value."""
    for value in _values(element):
        if not value.get("value"):
            yield value.get("for", ""), repr(value.get("value")), "leave a missing value out"


@_on("node", "edge")
def intervals_disjoint(element: Element, seen: Seen) -> Iterator[Fault]:
    """Times of the values of a column that changes.

    Both ends are inclusive. Desktop loses a value that overlaps the one before and shows the old one where two touch; graphology keeps
    the last value in the file; networkx fails without an end.
    """
    reached: dict[str, float] = {}
    for value in _values(element):
        name = value.get("for", "")
        if seen.columns[_tag(element)].get(name, ("", "static"))[1] == "dynamic":
            start, end = _number(value.get("start")), _number(value.get("end"))
            if not (reached.get(name, -inf) < start <= end):
                yield name, f"[{value.get('start')}, {value.get('end')}]", "write ascending intervals with both ends that do not touch"
            reached[name] = end


@_on("node", "edge")
def only_start_and_end(element: Element, seen: Seen) -> Iterator[Fault]:  # noqa: ARG001
    """Desktop alone reads ``intervals``, ``timestamp``, ``timestamps`` and spells."""
    for item in (element, *_values(element)):
        for name in ("intervals", "timestamp", "timestamps"):
            if name in item.attrib:
                yield name, repr(item.get(name)), "write start and end"
    if _child(element, "spells") is not None:
        yield "spells", "", "write start and end"


@_on("node")
def same_timeline(element: Element, seen: Seen) -> Iterator[Fault]:
    """Desktop's timeline spans what the elements span, so every node is there from the first round to the last."""
    if seen.dynamic:
        span = _number(element.get("start")), _number(element.get("end"))
        seen.span = seen.span or span
        if span != seen.span or not span[0] <= span[1]:
            yield "start, end", f"[{element.get('start')}, {element.get('end')}]", "give all nodes the whole timeline"


@_on("edge")
def edge_within_timeline(element: Element, seen: Seen) -> Iterator[Fault]:
    """An edge has both of its ends in time or neither: it is then always shown. One that ends later would stretch the timeline."""
    if "start" in element.attrib or "end" in element.attrib:
        low, high = seen.span or (-inf, inf)
        if not low <= _number(element.get("start")) <= _number(element.get("end")) <= high:
            yield "start, end", f"[{element.get('start')}, {element.get('end')}]", "let start and end lie within the timeline"


@_on("node", "edge")
def colour_without_alpha(element: Element, seen: Seen) -> Iterator[Fault]:  # noqa: ARG001
    """Lite paints every node grey at ``a="1.0"``, Desktop aborts at ``hex`` with ``a``, networkx fails at ``hex``."""
    colour = _child(element, "color")
    if colour is not None:
        channels = [colour.get(name, "") for name in "rgb"]
        if colour.attrib.keys() - set("rgb") or not all(_WHOLE.fullmatch(c) and 0 <= int(c) <= BRIGHTEST for c in channels):
            yield "color", str(dict(colour.attrib)), "write r, g and b from 0 to 255 and nothing else"


@_on("node")
def size_in_scale(element: Element, seen: Seen) -> Iterator[Fault]:
    """Desktop scales sizes to 4..100 and positions with them, unless they are so already; Lite takes them as they are."""
    box = _child(element, "size")
    size = _number(None if box is None else box.get("value"))
    seen.sizes = min(seen.sizes[0], size), max(seen.sizes[1], size)
    if not SMALLEST <= size <= LARGEST:
        yield "size", str(size), "give every node a size from 4 to 100"


@_on("node")
def position_within_bounds(element: Element, seen: Seen) -> Iterator[Fault]:  # noqa: ARG001
    """Desktop cuts coordinates off at 5,000; without a position all nodes of Lite lie on one point."""
    place = _child(element, "position")
    x, y = (_number(None if place is None else place.get(name)) for name in "xy")
    if not (abs(x) < CUT_OFF and abs(y) < CUT_OFF):
        yield "position", f"{x:g}, {y:g}", f"give every node a position within {CUT_OFF:g} of 0"


@_on("edge")
def ends_exist(element: Element, seen: Seen) -> Iterator[Fault]:
    """Desktop creates missing nodes or drops the edge, graphology throws."""
    for name in ("source", "target"):
        if element.get(name) not in seen.ids["node"]:
            yield name, repr(element.get(name)), "name a node of the file"


@_on("edge")
def parallel_by_kind(element: Element, seen: Seen) -> Iterator[Fault]:
    """Desktop merges edges that share source, target and ``kind``, and adds up their weights."""
    key = element.get("source", ""), element.get("target", ""), element.get("kind", "")
    if key in seen.edges:
        yield "source, target, kind", repr(key), "merge the edges or give them different kinds"
    seen.edges.add(key)


@_on("edge")
def edge_directed(element: Element, seen: Seen) -> Iterator[Fault]:  # noqa: ARG001
    """Desktop drops an undirected edge of a directed graph."""
    if element.get("type", "directed") != "directed":
        yield "type", repr(element.get("type")), "leave the type out"


@_on("edge")
def weight_positive(element: Element, seen: Seen) -> Iterator[Fault]:  # noqa: ARG001
    """Desktop reads weights in single precision, removes edges of weight 0 and breaks at negative ones and NaN."""
    if not SINGLE[0] < _number(element.get("weight", "1")) < SINGLE[1]:
        yield "weight", repr(element.get("weight")), "give a positive weight, and the exact amount in a double column"


@_on("edge")
def weight_thin(element: Element, seen: Seen) -> Iterator[Fault]:  # noqa: ARG001
    """Lite draws the weight as thickness: an edge of weight 1234 covers half the screen."""
    if _number(element.get("weight", "1")) > WIDEST:
        yield "weight", repr(element.get("weight")), f"scale weights to 1..{WIDEST:g} by their logarithm"


@_on("end")
def lists_present(element: Element, seen: Seen) -> Iterator[Fault]:  # noqa: ARG001
    """The schema wants ``nodes`` and ``edges`` even where they are empty, and a count there tells how many follow."""
    for name, tag in (("nodes", "node"), ("edges", "edge")):
        if seen.declared.get(name, None) is None:
            yield name, "absent", f"write an empty <{name}/>"
        elif seen.declared[name] not in ("", str(seen.counts[tag])):
            yield name, f"count {seen.declared[name]}, {seen.counts[tag]} found", "let the count be right"


@_on("end")
def sizes_span_scale(element: Element, seen: Seen) -> Iterator[Fault]:  # noqa: ARG001
    """Desktop leaves sizes and positions alone only where the smallest size is 4 and the largest 100."""
    low, high = seen.sizes
    if low < high and (low > SMALLEST or high < LARGEST):
        yield "size", f"{low:g}..{high:g}", "let the smallest be 4 and the largest 100"
