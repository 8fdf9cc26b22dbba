"""Events as values of the application's own types.

An event's arguments become a msgspec Struct, a dataclass or anything else that msgspec converts to: one argument that is an object gives the
fields by name, else the arguments give them in order. What does not fit is an error that says which event, which field, what was expected and what
came; the event is consumed, and the next one can be read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, get_args

import msgspec

from engineio_lite.causes import Cause
from engineio_lite.exceptions import LocalProtocolError, PayloadMismatch, elide
from engineio_lite.socketio.events import EventReceived

Model = TypeVar("Model")


def convert_args(args: Sequence[object], model: type[Model], name: str | float) -> Model:
    """Make a `model` of an event's arguments.

    Raises `PayloadMismatch`.
    """
    try:
        if _has_fields(model) and not (len(args) == 1 and isinstance(args[0], Mapping)):
            return msgspec.convert(_by_name(args, model), type=model)
        return msgspec.convert(args[0] if len(args) == 1 else list(args), type=model)
    except msgspec.ValidationError as error:
        raise PayloadMismatch(str(name), model_name(model), str(error), elide(repr(args))) from None


def _by_name(args: Sequence[object], model: Any) -> dict[str, object]:
    """Give the arguments the names of the model's fields, in order."""
    if dataclasses.is_dataclass(model):
        names = [field.name for field in dataclasses.fields(model) if field.init]
    else:
        names = [field.encode_name for field in msgspec.structs.fields(model)]
    if len(args) > len(names):
        raise msgspec.ValidationError(f"Expected at most {len(names)} arguments, got {len(args)}")
    return dict(zip(names, args, strict=False))


def _has_fields(model: Any) -> bool:
    if not isinstance(model, type):
        return False
    is_object_struct = issubclass(model, msgspec.Struct) and not model.__struct_config__.array_like and model.__struct_config__.tag is None
    return is_object_struct or dataclasses.is_dataclass(model)


def model_name(model: Any) -> str:
    """How an error calls a model."""
    return getattr(model, "__name__", None) or repr(model)


def models_by_event(models: Any, name: str | None) -> dict[str, Any]:
    """Say which model is for which event.

    `models` maps names to models, or is one model, or several in a union; a model is for the event `name`, or says so itself by a class attribute
    ``event``. Raises `LocalProtocolError` where that is not clear.
    """
    if isinstance(models, Mapping):
        return dict(models)
    members = get_args(models) if get_args(models) and not isinstance(models, type) else (models,)
    if name is not None:
        return {name: models}
    found: dict[str, Any] = {}
    for model in members:
        event = getattr(model, "event", None)
        if not isinstance(event, str):
            message = f"which event is {model_name(model)} for? Give it a class attribute `event`, or pass name= or a mapping of names to models"
            raise LocalProtocolError(message, cause=Cause.BAD_OPTION)
        found[event] = model
    return found


class TypedEvents(AsyncIterator[Model | EventReceived], Generic[Model]):
    """Iterates over the events of a namespace, or of a client; made by `events`. One that has a model is converted, another one comes as it is.

    An event that does not fit its model raises `PayloadMismatch`; iterating may go on after it.
    """

    def __init__(self, models: Mapping[str, Any], iterator: AsyncIterator[EventReceived]) -> None:
        self._models = models
        self._iterator = iterator

    async def __anext__(self) -> Model | EventReceived:
        event = await anext(self._iterator)
        model = self._models.get(event.name) if isinstance(event.name, str) else None
        if model is None:
            return event
        converted: Model = convert_args(event.args, model, event.name)
        return converted
