"""Compiles the kernels into the wheel; everything else about the package stands in pyproject.toml."""

import runpy
import shutil
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py


class BuildWithKernels(build_py):
    """Also the libraries of all vector widths.

    An editable installation leaves them to the first use: it compiles the one width that the machine has, and
    anew when sources change.
    """

    def run(self):
        super().run()
        if not self.editable_mode:
            compile_kernels(Path(self.build_lib) / "spinpot" / "kernels" / "built")


def compile_kernels(folder):
    """Never fails: what could not be compiled here is compiled where it is first used."""
    compiler = runpy.run_path(str(Path("src", "spinpot", "kernels", "compiler.py")))
    shutil.rmtree(folder, ignore_errors=True)
    for width in compiler["widths"]():
        try:
            compiler["compile_library"](folder, width)
        except (compiler["NotCompiledError"], OSError) as error:
            print(f"spinpot's {width} kernels will be compiled on their first use, not now. {error}")


class PlatformWheel(bdist_wheel):
    """For one platform, and any Python: the libraries know nothing of it."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


class WithLibraries(Distribution):
    def has_ext_modules(self):
        return True


setup(distclass=WithLibraries, cmdclass={"build_py": BuildWithKernels, "bdist_wheel": PlatformWheel})
