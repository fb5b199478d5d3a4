"""The house itself: import directions, sizes of folders and files, the wheel, public names."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import snntx

ROOT = Path(__file__).resolve().parent.parent
WINGS = ("commands", "data_cards", "declared", "draw", "preprocess", "report", "train")
MOST_FILES, MOST_LINES = 14, 300
HEAVY = ("numpy", "h5py", "numba", "torch", "tonic", "PIL", "sklearn", "matplotlib")
PUBLIC = (
    "snntx.preprocess.EventCache",
    "snntx.preprocess.FrameCache",
    "snntx.preprocess.frames_from_events",
    "snntx.preprocess.open_cache",
    "snntx.preprocess.read_events",
    "snntx.train.FrameDataset",
    "snntx.train.Method",
    "snntx.train.Recipe",
    "snntx.train.TransferLoss",
    "snntx.train.create_model",
    "snntx.train.evaluate",
    "snntx.train.load_recipe",
    "snntx.train.load_reference_state",
    "snntx.train.read_run",
    "snntx.train.train",
)
RELEASE_0_1 = (
    "snntx.preprocess.framing.frames_from_events",
    "snntx.preprocess.readers.read_events",
    "snntx.preprocess.cache.FrameCache",
    "snntx.train.models.create_model",
    "snntx.train.losses.TransferLoss",
    "snntx.train.checkpoint.load_reference_state",
)


def modules() -> list[Path]:
    """Every Python file of the package, relative to its root."""
    deep = [file for wing in WINGS for file in (ROOT / wing).rglob("*.py")]
    return sorted(file.relative_to(ROOT) for file in [*ROOT.glob("*.py"), *deep])


def folders() -> list[Path]:
    """Every folder of the package that holds Python files, relative to its root."""
    return sorted({file.parent for file in modules()} - {Path(".")})


def forwards(file: Path) -> bool:
    """Whether a module only imports names from elsewhere and lists them in ``__all__``."""
    _docstring, *rest = ast.parse(file.read_text(encoding="utf-8")).body
    return bool(rest) and all(
        isinstance(each, ast.ImportFrom)
        or (isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "__all__")
        for each in rest
    )


def fresh(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )


# ---------------------------------------------------------------- directions


def lint_imports(checkout: Path) -> subprocess.CompletedProcess[str]:
    """Run the import check of ``make lint`` on the package in a folder called snntx."""
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8")
    [line] = [line.split() for line in recipe.splitlines() if "lint-imports" in line]
    command = [str(Path(sys.executable).with_name("lint-imports")), *line[1:]]
    environment = {**os.environ, "PYTHONPATH": str(checkout.parent), "COLUMNS": "300"}
    return subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package's Python files and contracts, to plant imports in."""
    copied = tmp_path / "snntx"
    for file in [*modules(), Path("pyproject.toml")]:
        (copied / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, copied / file)
    return copied


def test_imports_keep_their_direction(copy: Path) -> None:
    done = lint_imports(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Analyzed {len(modules())} files" in done.stdout


@pytest.mark.parametrize(
    ("importer", "line", "found"),
    [
        ("preprocess/disk", "from ..framing import grid", ".disk.planted -> snntx.preprocess.fram"),
        ("preprocess/readers", "from ..download import fetch", "planted -> snntx.preprocess.down"),
        ("preprocess/build", "from ...train.recipe import whole", "planted -> snntx.train.recipe"),
        ("data_cards", "from ..preprocess.framing import grid", "planted -> snntx.preprocess.fra"),
        ("declared", "from .. import cli", "snntx.declared.planted -> snntx.cli"),
        ("train/run", "from ...preprocess.build import plan", "planted -> snntx.preprocess.buil"),
        ("train/network", "def f():\n    from ..run import fit", "planted -> snntx.train.run.fit"),
    ],
)
def test_an_import_against_the_direction_fails(
    copy: Path, importer: str, line: str, found: str
) -> None:
    (copy / importer / "planted.py").write_text(line)
    done = lint_imports(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert found in done.stdout


def test_a_circle_within_a_folder_fails(copy: Path) -> None:
    (copy / "train/network/planted.py").write_text("from . import replanted")
    (copy / "train/network/replanted.py").write_text("def f():\n    from . import planted")
    done = lint_imports(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "No cycles are allowed in snntx.train.network." in done.stdout
    assert "planted -> .replanted" in done.stdout or "replanted -> .planted" in done.stdout


def test_a_folder_without_a_place_fails(copy: Path) -> None:
    (copy / "preprocess/planted").mkdir()
    (copy / "preprocess/planted/__init__.py").write_text("")
    done = lint_imports(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "not listed as layers" in done.stdout
    assert "- snntx.preprocess.planted" in done.stdout


# ---------------------------------------------------------------- sizes and names


@pytest.mark.parametrize("folder", folders(), ids=str)
def test_a_folder_has_one_idea(folder: Path) -> None:
    files = [file for file in (ROOT / folder).iterdir() if file.is_file()]
    own = [f for f in files if f.name != "__init__.py" and not (f.suffix == ".py" and forwards(f))]
    assert len(own) <= MOST_FILES, f"{folder}: {len(own)} files, expected {MOST_FILES} at most"
    repeating = [f.name for f in own if f"{f.stem}_".startswith(f"{folder.name}_")]
    assert not repeating, f"{folder}: named as the folder is: {repeating}"
    opening = ROOT / folder / "__init__.py"
    assert opening.is_file(), f"{folder}: no __init__.py"
    assert ast.get_docstring(ast.parse(opening.read_text(encoding="utf-8"))), f"{opening}: no words"


def test_modules_are_short_and_open_with_words() -> None:
    texts = {str(file): (ROOT / file).read_text(encoding="utf-8") for file in modules()}
    assert len(texts) > 150
    lines = {name: text.count("\n") for name, text in texts.items()}
    assert not {name: count for name, count in lines.items() if count > MOST_LINES}
    assert not [name for name, text in texts.items() if not ast.get_docstring(ast.parse(text))]


def test_a_forwarding_module_is_told_from_another(tmp_path: Path) -> None:
    file = tmp_path / "old.py"
    file.write_text('"""Old."""\n\nfrom .new import name\n\n__all__ = ["name"]\n')
    assert forwards(file)
    file.write_text('"""Old."""\n\nfrom .new import name\n\nother = name\n')
    assert not forwards(file)


@pytest.mark.parametrize("wing", WINGS)
def test_tests_lie_where_the_code_does(wing: str) -> None:
    below = ROOT / "tests" / wing
    tested = {file.parent.relative_to(ROOT / "tests") for file in below.rglob("test_*.py")}
    assert tested
    assert tested <= set(folders())


# ---------------------------------------------------------------- the wheel


def test_the_wheel_holds_every_folder() -> None:
    program = (
        "import setuptools, distutils.core as core; "
        "print(*core.run_setup('setup.py', stop_after='init').packages)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    named = {".".join(("snntx", *folder.parts)) for folder in folders()}
    assert sorted(done.stdout.split()) == sorted({"snntx", *named})


def test_the_citation_names_this_version() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    [version] = [line.split()[1] for line in text.splitlines() if line.startswith("version:")]
    assert version == snntx.__version__


# ---------------------------------------------------------------- public names


WALK = """
import importlib, pkgutil, sys, types

names = sys.argv[1:]

def value(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)

before = {name: value(name) for name in names} if NAMES_FIRST else {}
for wing in ("preprocess", "train"):
    package = importlib.import_module(f"snntx.{wing}")
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        try:
            importlib.import_module(found.name)
        except ModuleNotFoundError as error:
            if error.name != "triton":
                raise
for name in names:
    found = value(name)
    assert not isinstance(found, types.ModuleType), f"{name} is hidden by a module"
    assert callable(found), name
    assert found is before.get(name, found), f"{name} is another once all modules are imported"
"""


@pytest.mark.parametrize("names_first", [True, False], ids=["names-first", "modules-first"])
def test_no_module_hides_a_public_name(names_first: bool) -> None:
    done = fresh(WALK.replace("NAMES_FIRST", str(names_first)), *PUBLIC, *RELEASE_0_1)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [*PUBLIC, *RELEASE_0_1])
def test_a_public_name_is_reached_alone(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    program = f"from {module} import {attribute} as found; assert callable(found)"
    if name in PUBLIC:
        program += f"; import {module} as wing; assert {attribute!r} in wing.__all__"
    done = fresh(program)
    assert done.returncode == 0, done.stderr


def test_the_stages_themselves_import_nothing_heavy() -> None:
    done = fresh(
        "import sys, snntx.preprocess, snntx.train, snntx.cli; print(*sys.modules, sep='\\n')"
    )
    assert done.returncode == 0, done.stderr
    assert not set(HEAVY) & set(done.stdout.split())


# ---------------------------------------------------------------- help is fast


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["train", "--help"], ["preprocess", "--help"], ["cards"]],
    ids=" ".join,
)
def test_help_and_listings_import_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    program = (
        "import sys; from snntx.cli import run; code = run(sys.argv[1:]); "
        f"heavy = {set(HEAVY)!r} & set(sys.modules); "
        "sys.exit(f'exit code {code}, imported {heavy}' if code or heavy else 0)"
    )
    where = ["--cache", str(tmp_path)] if arguments == ["cards"] else []
    done = fresh(program, *arguments, *where)
    assert done.returncode == 0, done.stderr
    assert done.stdout
