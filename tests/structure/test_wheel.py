"""What is published is whole: the wheel holds every module and data file, and its command runs far from the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

CODE = {".py", ".typed", ".csv", ".toml"}


def _run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Run a command that knows nothing of the checkout or of the environment of these tests, and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env={**environment, **variables}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(root: Path, source_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the source archive, so that the archive is known to be whole too; the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("source")
    for file in source_files:
        target = copy / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", copy / "dist", copy, cwd=copy)
    return next((copy / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of the commands of a fresh environment with the wheel; the libraries that it needs are lent by this one."""
    home = tmp_path_factory.mktemp("fresh")
    _run(sys.executable, "-m", "venv", home / "env", cwd=home)
    commands = home / "env" / ("Scripts" if os.name == "nt" else "bin")
    _run(commands / "python", "-m", "pip", "install", "--no-deps", "--no-index", wheel, cwd=home)
    own = Path(_run(commands / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    # A plain line of a .pth file comes after the environment's own packages, and no .pth of the lender is read.
    (own / "lent.pth").write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}), encoding="utf-8")
    return commands


def test_the_wheel_holds_every_module_and_data_file_and_nothing_else(root: Path, source_files: list[Path], wheel: Path) -> None:
    inside = {path.relative_to(root) for path in source_files}
    expected = {path.as_posix() for path in inside if path.parts[0] in {"contagion", "graphs"} and path.suffix in CODE}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == expected | {"cli.py"}


def test_its_commands_run_outside_the_checkout(root: Path, installed: Path, tmp_path: Path) -> None:
    assert "list" in _run(installed / "contagion", "--help", cwd=tmp_path)
    assert _run(installed / "contagion", "list", cwd=tmp_path).strip()
    where = "import cli, contagion, graphs; print(cli.__file__, contagion.__file__, graphs.__file__)"
    for file in _run(installed / "python", "-c", where, cwd=tmp_path).split():
        assert Path(file).is_relative_to(installed.parent)
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert _run(installed / "contagion", "--version", cwd=tmp_path) == f"contagion-graph {version}\n"


def test_every_module_imports_from_the_wheel(wheel: Path, installed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        modules = [name[:-3].replace("/", ".").removesuffix(".__init__") for name in archive.namelist() if name.endswith(".py")]
    assert len(modules) > len({module.split(".")[0] for module in modules})
    _run(installed / "python", "-c", f"import importlib\nfor name in {modules!r}: importlib.import_module(name)", cwd=tmp_path)


def test_the_shell_can_complete(installed: Path, tmp_path: Path) -> None:
    assert "_contagion_completion" in _run(installed / "contagion", cwd=tmp_path, _CONTAGION_COMPLETE="bash_source")
    words = {"_CONTAGION_COMPLETE": "bash_complete", "COMP_WORDS": "contagion li", "COMP_CWORD": "1"}
    assert "list" in _run(installed / "contagion", cwd=tmp_path, **words)
