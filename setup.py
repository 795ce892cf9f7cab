"""Compiles the hot path (rater/compiled), where there is a compiler; without it an event costs nearly twice as much.

Everything else about the package stands in pyproject.toml.
"""

import sys
from pathlib import Path

from setuptools import Extension, setup


def extensions() -> list[Extension]:
    """One for each compiled part; a part that cannot be compiled is left out."""
    try:
        from Cython.Build import cythonize
        from Cython.Compiler.Errors import CompileError
    except ImportError:
        return []
    if sys.byteorder != "little":  # digests and requests are written as they stand in memory
        return []
    parts = [
        Extension(f"rater.compiled.{path.stem}", [path.as_posix()])
        for path in sorted(Path("rater/compiled").glob("*.pyx"))
    ]
    directives = {"language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True}
    try:
        found = list(cythonize(parts, build_dir="build/cython", compiler_directives=directives))
    except CompileError as error:  # of another Cython, say
        print(f"The hot path is not compiled: {error}", file=sys.stderr)
        return []
    for extension in found:
        extension.optional = True  # set here, since Cython makes extensions of its own
    return found


setup(ext_modules=extensions())
