"""The packages depend one way, `cli → contagion → graphs`, and no module needs itself to be imported."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = {"graphs": 0, "contagion": 1, "cli": 2}
FILES = [ROOT / "cli.py", *sorted(file for package in ("contagion", "graphs") for file in (ROOT / package).rglob("*.py"))]
MODULES = {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in FILES}


def _targets(node: ast.AST, module: str) -> set[str]:
    """Names that an import statement needs, as precise as the text allows: `from graphs import network` needs `graphs.network`."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if not isinstance(node, ast.ImportFrom):
        return set()
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    base = ".".join([*above, *([node.module] if node.module else [])])
    return {f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base for alias in node.names}


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def _imports(module: str, node: ast.AST, *, at_import: bool) -> set[str]:
    """What a module imports: everything, or only what runs when it is itself imported."""
    found = _targets(node, module)
    for child in ast.iter_child_nodes(node):
        later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _is_type_checking(child)
        if not (at_import and later):
            found |= _imports(module, child, at_import=at_import)
    return found


@pytest.mark.parametrize("module", MODULES)
def test_no_module_imports_from_a_layer_above(module: str) -> None:
    layer = LAYERS[module.split(".", maxsplit=1)[0]]
    imported = _imports(module, ast.parse(MODULES[module].read_text(encoding="utf-8")), at_import=False)
    upward = {name for name in imported if LAYERS.get(name.split(".")[0], -1) > layer}
    assert not upward, f"{module} imports {', '.join(sorted(upward))}"


def test_no_import_cycle() -> None:
    trees = {module: ast.parse(file.read_text(encoding="utf-8")) for module, file in MODULES.items()}
    needs = {module: _imports(module, tree, at_import=True) & MODULES.keys() for module, tree in trees.items()}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' <- '.join(error.args[1])}")


def test_the_command_line_imports_only_click_before_a_command_runs() -> None:
    for module, file in MODULES.items():
        if module == "cli" or module.startswith("contagion.commands"):
            imported = _imports(module, ast.parse(file.read_text(encoding="utf-8")), at_import=True)
            other = {name for name in imported if not name.startswith("contagion.commands")}
            assert other <= {"__future__", "click", "collections", "os", "sys", "typing"}, f"{module} imports {other}"


def test_every_directory_with_modules_is_a_package() -> None:
    bare = {file.parent for file in FILES if file.parent != ROOT and not (file.parent / "__init__.py").exists()}
    assert not bare, f"without __init__.py, so left out of the wheel: {sorted(map(str, bare))}"
