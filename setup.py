"""Build script: the repository's root is the package ``snntx`` itself.

Everything declarative lives in ``pyproject.toml``. This file exists because the
root's own ``setup.py`` must be kept out of the wheel, which needs a command class.
"""

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

WINGS = [
    f"{wing}{deeper}"
    for wing in ("commands", "data_cards", "declared", "draw", "preprocess", "report", "train")
    for deeper in ("", ".*")
]


class BuildPy(build_py):
    """Collect the root's modules without this build script."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """Return the package's modules but ``setup``."""
        modules = super().find_package_modules(package, package_dir)
        return [module for module in modules if module[1] != "setup"]


setup(
    package_dir={"snntx": "."},
    packages=["snntx", *(f"snntx.{name}" for name in find_packages(include=WINGS))],
    package_data={
        "snntx": ["py.typed"],
        "snntx.data_cards": ["shipped/*.toml"],
        "snntx.report": ["templates/*"],
        "snntx.train.study.sweeps": ["*.toml"],
    },
    cmdclass={"build_py": BuildPy},
)
