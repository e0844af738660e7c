"""Turn plain data (YAML, JSON) into pydantic models; a mistake ends in one line that names key and allowed values."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from workflow_scripts.core.errors import UserError

ModelT = TypeVar("ModelT", bound=BaseModel)

#: limits of pydantic's error context and how they read
LIMITS = {
    "gt": "above {}",
    "ge": "at least {}",
    "lt": "below {}",
    "le": "at most {}",
    "min_length": "at least {} entries or characters",
    "multiple_of": "multiples of {}",
}
#: Python types as YAML calls them
YAML_TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    tuple: "a list",
    dict: "keys and values",
    type(None): "null",
}


class StrictModel(BaseModel):
    """Base of every model read from a config: frozen, without unknown keys; text is no number and true is not 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


def parse(model: type[ModelT], given: Mapping[str, Any] | None, *, where: str) -> ModelT:
    """Validate `given` as a `model`; `where` (file, key) begins the message.

    Raises `UserError` for the first mistake, in one line that names the key and what is allowed.
    """
    try:
        # In JSON mode a list is a tuple and a text a path or a literal, while types otherwise stay strict.
        return model.model_validate_json(json.dumps(dict(given or {}), default=str))
    except ValidationError as error:
        raise UserError(describe(error, model=model, where=where)) from error


def describe(error: ValidationError, *, model: type[BaseModel], where: str) -> str:
    """Describe the first mistake of a failed validation in one line: `where`, key, value, what is allowed."""
    # An unknown key is the likeliest cause of the others (a misspelt key is also a missing one).
    first = min(error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden")
    path = [str(part) for part in first["loc"] if not _is_type_name(part)]
    return ".".join([where, *path[:-1]] if first["type"] == "extra_forbidden" else [where, *path]) + (
        f": {_in_words(first, model, path)}"
    )


def _in_words(detail: ErrorDetails, model: type[BaseModel], path: list[str]) -> str:
    """Say what is wrong with one value and what is allowed there."""
    value, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            owner = _model_at(model, path[:-1])
            allowed = ", ".join(sorted(_keys(owner))) if owner else ""
            return f"unknown key {path[-1]!r}; allowed: {allowed or 'none'}"
        case "missing":
            return "is missing"
        case "value_error" | "assertion_error":
            return str(context.get("error", detail["msg"]))
        case "literal_error" | "enum":
            return f"{value!r} is not allowed; allowed: {str(context['expected']).replace(' or ', ', ')}"
        case _:
            limits = [text.format(context[key]) for key, text in LIMITS.items() if key in context]
            if limits and not detail["type"].endswith("_type"):
                return f"{value!r} is not allowed; allowed: {' and '.join(limits)}"
            annotation = _annotation_at(model, path)
            allowed = annotation if annotation else detail["msg"]
            return f"{value!r} has the wrong type; allowed: {allowed}{_remedy(value, str(allowed))}"


def _remedy(value: object, allowed: str) -> str:
    """Say how to write a number that YAML reads as text."""
    if not isinstance(value, str) or "number" not in allowed:
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    # YAML 1.1 reads 1e-3 as text, since it has neither a point nor a sign in its exponent.
    return f" (write {number:g}, without quotes)" if "e" not in value.lower() else f" (write {_decimal(number)})"


def _decimal(number: float) -> str:
    return f"{number:.12f}".rstrip("0").rstrip(".")


def _is_type_name(part: int | str) -> bool:
    """Whether a part of an error's location names a branch of a union instead of a key."""
    return isinstance(part, str) and ("[" in part or part in {"int", "float", "str", "bool", "none", "list", "tuple"})


def _model_at(model: type[BaseModel], path: list[str]) -> type[BaseModel] | None:
    """Return the model whose keys stand at `path` below `model`, if there is one."""
    annotation: Any = model
    for part in path:
        annotation = _step(annotation, part)
    return next((kind for kind in _flat(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _annotation_at(model: type[BaseModel], path: list[str]) -> str:
    """Return the types allowed at `path` below `model`, in words."""
    annotation: Any = model
    for part in path:
        annotation = _step(annotation, part)
    return " or ".join(dict.fromkeys(filter(None, (_type_in_words(kind) for kind in _flat(annotation)))))


def _step(annotation: Any, part: str) -> Any:
    """Follow one key or index into an annotation."""
    for kind in _flat(annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for name, field in kind.model_fields.items():
                if part in (name, field.alias):
                    return field.annotation
        arguments = [argument for argument in typing.get_args(kind) if argument is not Ellipsis]
        if arguments:
            return arguments[int(part)] if part.isdigit() and int(part) < len(arguments) > 1 else arguments[-1]
    return None


def _flat(annotation: Any) -> list[Any]:
    """Return the members of a union, or the annotation alone; `Annotated` is taken off."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _flat(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [kind for member in typing.get_args(annotation) for kind in _flat(member)]
    return [] if annotation is None else [annotation]


def _type_in_words(kind: Any) -> str:
    origin = typing.get_origin(kind) or kind
    if origin is typing.Literal:
        return ", ".join(map(str, typing.get_args(kind)))
    if isinstance(origin, type) and issubclass(origin, BaseModel):
        return "keys and values"
    if origin in (list, tuple):
        inner = _type_in_words(typing.get_args(kind)[0]) if typing.get_args(kind) else ""
        return f"a list (each: {inner})" if inner else "a list"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "keys and values"
    return YAML_TYPES.get(origin, getattr(origin, "__name__", str(origin)))


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
