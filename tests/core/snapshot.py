"""Copying and comparing whole connections, without knowing what is inside them.

The core promises that a refused call changes nothing, and the explorer must walk many futures from one present. Both need to treat a connection
(and the model world around it) as a value: `fork` makes an independent copy, `fingerprint` a hashable summary that is equal exactly when the
insides are.

What a call leaves lying about, the instant and the list of outputs that the next call replaces before it looks at them (`SCRATCH`), is no part of the
value and left out of the fingerprint.

Values that cannot change are shared: strings, numbers, enum members, frozen structs, exceptions, functions. Containers and plain objects are
copied, each once, so that two references to one object stay two references to one object.
"""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Hashable
from enum import Enum, IntEnum
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
SCRATCH = frozenset({"_now", "_out"})

_ATOMS = (str, bytes, int, float, bool, type(None), Enum, type, BaseException, types.FunctionType, types.BuiltinFunctionType, types.MappingProxyType)


class _Kind(IntEnum):
    ATOM = 0
    STRUCT = 1
    TUPLE = 2
    SEQUENCE = 3
    SET = 4
    DICT = 5
    METHOD = 6
    ERROR = 7
    OBJECT = 8


_kinds: dict[type, _Kind] = {}


def _kind(cls: type) -> _Kind:
    """Sort a class once: the explorer asks millions of times."""
    tests: list[tuple[_Kind, tuple[type, ...]]] = [
        (_Kind.ERROR, (BaseException,)),
        (_Kind.ATOM, _ATOMS),
        (_Kind.STRUCT, (msgspec.Struct,)),
        (_Kind.TUPLE, (tuple, frozenset)),
        (_Kind.SEQUENCE, (list, deque)),
        (_Kind.SET, (set, bytearray)),
        (_Kind.DICT, (dict,)),
        (_Kind.METHOD, (types.MethodType,)),
        (_Kind.OBJECT, (object,)),
    ]
    kind = _kinds[cls] = next(kind for kind, classes in tests if issubclass(cls, classes))
    return kind


def fork(value: T) -> T:
    """Copy a value so that nothing done to the copy can be seen in the original."""
    copied: T = _fork(value, {})
    return copied


def _fork(value: Any, seen: dict[int, Any]) -> Any:
    cls = type(value)
    kind = _kinds.get(cls)
    if kind is None:
        kind = _kind(cls)
    if kind is _Kind.ATOM or kind is _Kind.ERROR or (kind is _Kind.STRUCT and cls.__struct_config__.frozen):
        return value
    if kind is _Kind.TUPLE:
        return cls(_fork(item, seen) for item in value)
    if id(value) in seen:
        return seen[id(value)]
    if kind is _Kind.METHOD:
        return types.MethodType(value.__func__, _fork(value.__self__, seen))
    if kind is _Kind.SEQUENCE:
        copy = seen[id(value)] = value.copy()
        for index, item in enumerate(value):
            copy[index] = _fork(item, seen)
        return copy
    if kind is _Kind.SET:
        return seen.setdefault(id(value), value.copy())
    if kind is _Kind.DICT:
        copy = seen[id(value)] = {}
        for key, item in value.items():
            copy[key] = _fork(item, seen)
        return copy
    copy = seen[id(value)] = object.__new__(cls)
    for name in _attributes(value):
        object.__setattr__(copy, name, _fork(getattr(value, name), seen))
    return copy


def fingerprint(value: object) -> Hashable:
    """Summarise a value so that two summaries are equal exactly when the values are alike all the way down."""
    insides: Any = value
    cls = type(value)
    kind = _kinds.get(cls)
    if kind is None:
        kind = _kind(cls)
    if kind is _Kind.ATOM:
        return insides if cls is not types.MappingProxyType else id(insides)
    if kind is _Kind.ERROR:
        return (cls.__name__, str(insides))
    if kind is _Kind.STRUCT:
        return (cls.__name__, *[fingerprint(getattr(insides, name)) for name in insides.__struct_fields__])
    if kind is _Kind.SEQUENCE or cls is tuple:
        return (cls.__name__, *[fingerprint(item) for item in insides])
    if kind is _Kind.SET or kind is _Kind.TUPLE:
        return bytes(insides) if cls is bytearray else frozenset(insides)
    if kind is _Kind.DICT:
        return ("dict", *[(fingerprint(key), fingerprint(item)) for key, item in insides.items()])
    if kind is _Kind.METHOD:
        return insides.__func__.__qualname__  # type: ignore[no-any-return]
    return (cls.__name__, *[(name, fingerprint(getattr(insides, name))) for name in _attributes(insides) if name not in SCRATCH])


def _attributes(value: object) -> list[str]:
    cls = type(value)
    slots = _slots.get(cls)
    if slots is None:
        own = [owner.__dict__.get("__slots__", ()) for owner in cls.__mro__]
        names = [name for names in own for name in ((names,) if isinstance(names, str) else names)]
        slots = _slots[cls] = [name for name in names if name not in ("__dict__", "__weakref__")]
    return [*getattr(value, "__dict__", ()), *[name for name in slots if hasattr(value, name)]]


_slots: dict[type, list[str]] = {}
