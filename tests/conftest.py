"""What all tests share: the checkout, its files, a `contagion` command that runs from it, and how Hypothesis searches."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parent.parent
LEFTOVERS = {"build", "dist", "htmlcov", "out", "__pycache__"}

# A machine's load decides how long an example takes, so none has a deadline. CI draws the same examples each time.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def _listed_by_git() -> list[Path] | None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return None
    command = [git, "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [ROOT / name for name in done.stdout.split("\0") if name] if done.returncode == 0 else None


def _walked() -> list[Path]:
    def is_ours(path: Path) -> bool:
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in {".ci", ".gitignore"} for part in parts)
        return not hidden and not any(part in LEFTOVERS or part.endswith(".egg-info") for part in parts)

    return [path for path in ROOT.rglob("*") if is_ours(path)]


@pytest.fixture(scope="session")
def root() -> Path:
    """Top of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def source_files() -> list[Path]:
    """Every file of the project, also those not yet committed; works where there is no git."""
    listed = _listed_by_git()
    return sorted(path for path in (_walked() if listed is None else listed) if path.is_file())


@pytest.fixture(scope="session")
def shell_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment in which `contagion` and `python` mean this checkout and this interpreter, from any directory."""
    commands = tmp_path_factory.mktemp("bin")
    script = commands / "contagion"
    script.write_text(f"#!{sys.executable}\nfrom cli import main\n\nmain(prog_name='contagion')\n", encoding="utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    path = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "160"}
    return {name: value for name, value in environment.items() if name != "PYTHONWARNINGS"}


@pytest.fixture(scope="session")
def shell(shell_environment: Mapping[str, str]) -> Callable[[str, Path], subprocess.CompletedProcess[str]]:
    """Run a line of bash in a directory, in that environment; what it prints is captured, its status is left to the caller."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash on this machine")

    def run(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        command = [bash, "-euo", "pipefail", "-c", line]
        return subprocess.run(command, cwd=cwd, env=shell_environment, capture_output=True, text=True, check=False, timeout=600)

    return run
