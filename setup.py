"""Build script: the repository's root is the package ``snntx`` itself.

Everything declarative lives in ``pyproject.toml``. This file exists because the
root's own ``setup.py`` must be kept out of the wheel, which needs a command class.
"""

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildPy(build_py):
    """Collect the root's modules without this build script."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """Return the package's modules but ``setup``."""
        modules = super().find_package_modules(package, package_dir)
        return [module for module in modules if module[1] != "setup"]


setup(
    package_dir={"snntx": "."},
    packages=[
        "snntx",
        "snntx.data_cards",
        "snntx.preprocess",
        "snntx.preprocess.readers",
        "snntx.sweeps",
        "snntx.train",
        "snntx.train.backends",
        "snntx.train.models",
    ],
    package_data={
        "snntx": ["py.typed"],
        "snntx.data_cards": ["*.toml"],
        "snntx.sweeps": ["*.toml"],
    },
    cmdclass={"build_py": BuildPy},
)
