"""`kernel`: a typed decorator for numba functions, compiled at the first call and kept in the disk cache.

Enters: a fully annotated function over numpy arrays and its numba signature. Leaves: the same function, as machine code
that holds no lock (nogil). Invariant: importing a module of kernels compiles nothing and does not import numba.

The signature is fixed, so that read-only views (of a message's bytes) and writable arrays share one compilation. What
is in the cache serves as long as `games.kernel_stamp` says that it was made of the same sources.

    >>> @kernel("i64(i64, i64)")
    ... def add(a: int, b: int) -> int:
    ...     return a + b
    >>> add(2, 3)
    5
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property, update_wrapper
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, ParamSpec, TypeVar

from games.kernel_stamp import digest_of

P = ParamSpec("P")
R = TypeVar("R")

_SCALARS = {
    "u8": "uint8",
    "u32": "uint32",
    "i32": "int32",
    "u64": "uint64",
    "i64": "int64",
    "f32": "float32",
    "f64": "float64",
    "none": "void",
}
_TERM = re.compile(r"(in )?([a-z][a-z0-9]*)(?:\[([1-9])\])?")


class Kernel(Generic[P, R]):
    """A function that becomes machine code at its first call. Other kernels may call it."""

    def __init__(self, function: Callable[P, R], signature: str) -> None:
        self.function = function
        self.signature = signature
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = self.compiled(*args, **kwargs)
        return result

    @cached_property
    def compiled(self) -> Any:
        """The numba dispatcher; compiles, or loads from the disk cache, when first asked for."""
        import numba

        dispatcher: Any = numba.njit(nogil=True, boundscheck=False)(self.function)
        # A function without a file (typed at a prompt, run by doctest) has nothing that a disk cache could be keyed by.
        if Path(self.function.__code__.co_filename).is_file():
            dispatcher.enable_caching()
            # Numba would watch the time and size of this one file. It offers no way to say otherwise but this.
            dispatcher._cache._cache_file._source_stamp = digest_of(self.function.__module__)
        dispatcher.compile(_parse(self.signature))
        dispatcher.disable_compile()
        return dispatcher

    def warm(self) -> None:
        """Compile now, or load from the disk cache."""
        _ = self.compiled

    @property
    def _numba_type_(self) -> Any:
        # What numba looks for when one kernel names another.
        return self.compiled._numba_type_


def kernel(signature: str) -> Callable[[Callable[P, R]], Kernel[P, R]]:
    """Mark a function as a kernel.

    Args:
        signature: "result(argument, ...)", each a scalar (u8 u32 u64 i32 i64 f32 f64, none for no result) or a
            C-contiguous array with its number of dimensions: `u8[2]` is written to, `in u8[2]` only read, and so
            may be read-only.

    Raises:
        ValueError: the signature cannot be read (at the first call).
    """

    def decorate(function: Callable[P, R]) -> Kernel[P, R]:
        return Kernel(function, signature)

    return decorate


def warm_all(module: ModuleType) -> None:
    """Compile every kernel of a module, or load it from the disk cache, so that no first call has to."""
    for value in vars(module).values():
        if isinstance(value, Kernel):
            value.warm()


def _parse(signature: str) -> Any:
    result, bracket, rest = signature.partition("(")
    if not bracket or not rest.endswith(")"):
        raise ValueError(f"kernel signature {signature!r}: not of the form result(argument, ...)")
    arguments = [_type(term.strip()) for term in rest[:-1].split(",")]
    return _type(result.strip())(*arguments)


def _type(term: str) -> Any:
    from numba import types

    match = _TERM.fullmatch(term)
    if match is None or match[2] not in _SCALARS:
        raise ValueError(
            f"kernel signature term {term!r}: not one of {', '.join(_SCALARS)} or an array such as 'in u8[2]'"
        )
    scalar = getattr(types, _SCALARS[match[2]])
    if match[3] is None:
        return scalar
    return types.Array(scalar, int(match[3]), "C", readonly=match[1] is not None)
