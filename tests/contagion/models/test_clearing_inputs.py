# ruff: noqa: ANN401 - matrices come as lists, as published
"""Clearing: inputs at the edge of meaning, and beyond it."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
from scipy.sparse import csr_array

from contagion.models.clearing import clear
from contagion.models.errors import ModelError
from graphs.matrices import MatrixError


def test_nobody_owes_anybody_and_there_is_nobody() -> None:
    idle = clear(np.zeros((3, 3)), [1, 0, 2])
    assert idle.payments.tolist() == [0, 0, 0]
    assert idle.recovery.tolist() == [1, 1, 1]
    assert not idle.defaulted.any()
    assert clear(np.zeros((0, 0)), []).payments.size == 0
    assert clear(csr_array((3, 3)), [1, 0, 2], external_liabilities=[2, 0, 1]).payments.tolist() == [1, 0, 1]


def test_labels_of_a_graph_name_the_answer_and_the_vectors() -> None:
    graph = nx.DiGraph()
    graph.add_nodes_from(["z", "a"])
    graph.add_edge("z", "a", weight=100.0)
    result = clear(graph, {"a": 0.0, "z": 40.0})
    assert result.nodes == ("z", "a")
    assert result.payments.tolist() == [40.0, 0.0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([[0, -1], [0, 0]], [1, 1]), r"liabilities: \[0, 1\] = -1.0"),
        (([[0, np.nan], [0, 0]], [1, 1]), r"liabilities: \[0, 1\] = nan"),
        (([[0, 1, 0], [0, 0, 0]], [1, 1]), "2 rows and 3 columns"),
        (([[0, 1], [0, 0]], [1, -1]), "external_assets of 1: -1.0"),
        (([[0, 1], [0, 0]], [1, 1, 1]), r"external_assets has shape \(3,\)"),
        (([[5, 1], [0, 0]], [1, 1]), "0 owes itself 5; set the diagonal to zero"),
    ],
)
def test_what_has_no_meaning_is_refused_in_a_sentence(arguments: Any, words: str) -> None:
    with pytest.raises((ModelError, MatrixError), match=words):
        clear(*arguments)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"alpha": 1.1}, "alpha is 1.1"),
        ({"beta": -0.1}, "beta is -0.1"),
        ({"seniority": "junior"}, "seniority is 'junior'"),
        ({"solution": "middle"}, "solution is 'middle'"),
        ({"holdings": [[0, 0.5], [1.2, 0]]}, "row 1 sums to 1.2"),
        ({"holdings": [[0, 1], [1, 0]]}, "0, 1 own each other whole"),
        ({"holdings": [[0.5, 0], [0, 0]]}, "0 owns itself"),
        ({"external_liabilities": [[1, 1], [1, 1]]}, "2 rows for 1 classes"),
    ],
)
def test_options_without_meaning_are_refused(options: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        clear([[0, 1], [1, 0]], [1, 1], **options)
