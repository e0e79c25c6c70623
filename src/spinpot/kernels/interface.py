"""Reads the declarations of interface.h for ctypes: fields of structs and arguments of functions."""

import ctypes
import re
from collections.abc import Iterator
from ctypes import c_char_p, c_double, c_int, c_int32, c_int64, c_void_p
from typing import Any

from spinpot.kernels.compiler import HERE

_HEADER = re.sub(r"/\*.*?\*/", "", (HERE / "interface.h").read_text(encoding="utf-8"), flags=re.DOTALL)
_NUMBERS = {"double": c_double, "int": c_int, "int32_t": c_int32, "int64_t": c_int64}


def structure(name: str) -> Any:
    """The ctypes class of a struct."""
    (body,) = re.findall(rf"typedef struct {{([^}}]*)}} {name};", _HEADER)
    fields = [field for declaration in body.split(";") for field in _declared(declaration)]
    return type(name, (ctypes.Structure,), {"_fields_": fields})


def arguments() -> dict[str, list[Any]]:
    """The types of each function's arguments."""
    return {
        function: [kind for argument in listed.split(",") for _, kind in _declared(argument)]
        for function, listed in re.findall(r"(spinpot_\w+)\(([^()]*)\);", _HEADER)
    }


def _declared(declaration: str) -> Iterator[tuple[str, Any]]:
    """The names and types in one declaration; `const double *a, *b` declares two pointers."""
    if found := re.match(r"\s*(?:const )?(\w+)(.*)", declaration, re.DOTALL):
        kind, names = found.groups()
        for name in filter(str.strip, names.split(",")):
            text = kind == "char" and name.count("*") == 1
            pointer = c_char_p if text else c_void_p
            yield re.findall(r"\w+", name)[-1], pointer if "*" in name else _NUMBERS[kind]
