"""Turn plain data (YAML, JSON) into pydantic models; a mistake ends in one line that names key and allowed values."""

from __future__ import annotations

import ast
import difflib
import inspect
import itertools
import json
import math
import textwrap
import types
import typing
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from workflow_scripts.core.errors import UserError

ModelT = TypeVar("ModelT", bound=BaseModel)

# Share of the letters that a misspelt name has in common with the one that was meant: two of three, as in base and
# baseline, or cpd and cpc. With fewer, `augmentations` would be offered for `evaluation`.
SIMILARITY = 0.66
#: limits of pydantic's error context and how they read
LIMITS = {
    "gt": "above {}",
    "ge": "at least {}",
    "lt": "below {}",
    "le": "at most {}",
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
#: words that YAML 1.1 reads as true and false
YAML_WORDS = {**dict.fromkeys(("true", "yes", "on"), "true"), **dict.fromkeys(("false", "no", "off"), "false")}


class StrictModel(BaseModel):
    """Base of every model read from a config: frozen, without unknown keys; text is no number and true is not 1."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
    )


def field_descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstrings of a model's fields, by name: those below its attributes, and of the models it extends.

    pydantic reads them too (`use_attribute_docstrings`), but when a class is made: a tenth of the time of planning.
    """
    own: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, StrictModel):
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
            for field, text in itertools.pairwise(body):
                match field, text:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(docstring))):
                        own[name] = inspect.cleandoc(docstring)
    return {name: own[name] for name in model.model_fields if name in own}


class Mistake(NamedTuple):
    """The first mistake in some data: the keys that lead to it, and a line that states what is allowed there."""

    path: tuple[str, ...]
    message: str

    def __str__(self) -> str:
        """Return key and message."""
        return ": ".join(filter(None, (".".join(self.path), self.message)))

    def in_one_line(self, where: str) -> str:
        """Return the mistake behind `where`: a file, or a file and the key that the path continues."""
        return f"{where}{'.' if ': ' in where and self.path else ': '}{self}"


class MistakeError(ValueError):
    """Raised by a validator of a whole model for a mistake in one of its keys."""

    def __init__(self, mistake: Mistake) -> None:
        """Take the mistake, with the keys below the model."""
        super().__init__(str(mistake))
        self.mistake = mistake


def parse(model: type[ModelT], value: object, *, where: str) -> ModelT:
    """Validate `value` (a mapping; None is an empty one) as a `model`; `where` (file, key) begins the message.

    Raises `UserError` for the first mistake, in one line that names the key and what is allowed.
    """
    try:
        return validate(model, value)
    except ValidationError as error:
        raise UserError(first_mistake(error, model).in_one_line(where)) from error


def validate(model: type[ModelT], value: object) -> ModelT:
    """Validate `value` as a `model`; raises pydantic's `ValidationError`."""
    content = {} if value is None else value
    # In JSON mode a list is a tuple and a text a path or a literal, while types otherwise stay strict.
    return model.model_validate_json(json.dumps(content, default=_plain))


def first_mistake(error: ValidationError, model: type[BaseModel]) -> Mistake:
    """Return the mistake to correct first: an unknown key, which may be another key misspelt, or the first one."""
    detail = min(error.errors(include_url=False), key=lambda item: item["type"] != "extra_forbidden")
    path, annotation = _locate(model, detail)
    if detail["type"] == "extra_forbidden":
        owner = next((kind for kind in _members(annotation) if _is_model(kind)), None)
        keys = sorted(field.alias or name for name, field in owner.model_fields.items()) if owner else []
        return Mistake(path, unknown("key", path[-1], keys))._replace(path=path[:-1])
    if detail["type"] == "missing" and isinstance(detail["loc"][-1], int):  # too few items: the list is wrong
        owner = _locate(model, detail | {"loc": detail["loc"][:-1]})[1]
        return Mistake(path[:-1], f"{detail['input']!r} has the wrong type; allowed: {describe_type(owner)}")
    if detail["type"] == "missing":
        return Mistake(path[:-1], f"{path[-1]!r} is missing; allowed: {describe_type(annotation)}")
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, MistakeError):
        return Mistake((*path, *cause.mistake.path), cause.mistake.message)
    return Mistake(path, _in_words(detail, annotation))


def parse_json(text: str) -> Any:
    """Parse a text; `ValueError` where it is no JSON, or nested deeper than Python follows."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def unknown(kind: str, name: object, allowed: Iterable[object]) -> str:
    """Return the message on a name that is none of the allowed ones, with the one it may be misspelt from."""
    names = list(map(str, allowed))
    return f"unknown {kind} {name!r}{suggest(name, names)}; allowed: {', '.join(names) or 'none'}"


def suggest(name: object, names: Iterable[object]) -> str:
    """Return the one of some names that another may be misspelt from, in parentheses; empty if none is similar."""
    if not isinstance(name, str):  # numbers are not misspelt
        return ""
    by_lower_case = {str(allowed).lower(): str(allowed) for allowed in names}
    similar = find_similar(name.lower(), by_lower_case)
    return f" (did you mean {by_lower_case[similar]}?)" if similar else ""


def find_similar(name: str, names: Iterable[str]) -> str | None:
    """Return the one of some names that another may be misspelt from; None if none is similar."""
    return next(iter(difflib.get_close_matches(name, [*names], n=1, cutoff=SIMILARITY)), None)


def require_known(name: object, allowed: Iterable[object], *, kind: str, where: str) -> None:
    """Raise `UserError` unless `name` is one of the allowed names of a `kind`; `where` is file and key."""
    names = list(allowed)
    if name not in names:
        raise UserError(f"{where}: {unknown(kind, name, names)}")


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _locate(model: type[BaseModel], detail: ErrorDetails) -> tuple[tuple[str, ...], Any]:
    """Return the keys that lead to an error, and the annotation there: of an unknown key, that of its model."""
    annotation: Any = model
    path: list[str] = []
    location = list(detail["loc"])
    while location:
        if len(_members(annotation)) > 1 and len(location) > 1:
            del location[0]  # pydantic names the member of the union that it tried
        part = location.pop(0)
        if part == "[key]":
            return tuple(path[:-1]), annotation
        if not location and (len(_members(annotation)) > 1 or detail["type"] == "extra_forbidden"):
            return (*path, str(part)) if detail["type"] == "extra_forbidden" else tuple(path), annotation
        path.append(str(part))
        annotation = _step(annotation, part)
    return tuple(path), annotation


def _step(annotation: Any, part: int | str) -> Any:
    """Follow one key or index into an annotation."""
    for kind in _members(annotation):
        if _is_model(kind):
            for name, field in kind.model_fields.items():
                if part in (name, field.alias):
                    return field.annotation
        arguments = [argument for argument in typing.get_args(kind) if argument is not Ellipsis]
        if arguments:
            return arguments[part] if isinstance(part, int) and part < len(arguments) else arguments[-1]
    return None


def _members(annotation: Any) -> list[Any]:
    """Return the members of a union but None, or the annotation alone; `Annotated` is taken off."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _members(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [kind for member in typing.get_args(annotation) for kind in _members(member)]
    return [] if annotation in (None, type(None)) else [annotation]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _in_words(detail: ErrorDetails, annotation: Any) -> str:
    """Say what is wrong with one value and what is allowed there."""
    value, context = detail["input"], detail.get("ctx", {})
    shown = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    match detail["type"]:
        case "value_error" | "assertion_error":
            return str(context.get("error", detail["msg"]))
        case "literal_error":
            allowed = describe_type(annotation)
            return f"{shown} is not allowed{suggest(value, allowed.split(', '))}; allowed: {allowed}"
        case "too_short" | "string_too_short":
            unit = "entry" if detail["type"] == "too_short" else "character"
            return f"{shown} is not allowed; allowed: at least {context['min_length']} {unit}"
        case "too_long":
            return f"{shown} is not allowed; allowed: at most {context['max_length']} entries"
        case _ if limits := [text.format(context[key]) for key, text in LIMITS.items() if key in context]:
            return f"{shown} is not allowed; allowed: {' and '.join(limits)}"
        case _:
            allowed = describe_type(annotation) or detail["msg"]
            return f"{shown} has the wrong type; allowed: {allowed}{_remedy(value, allowed)}"


def _remedy(value: object, allowed: str) -> str:
    """Say how to write a value that YAML reads as another type than the allowed one."""
    if isinstance(value, str) and value.lower() in YAML_WORDS and YAML_TYPES[bool] in allowed:
        word = YAML_WORDS[value.lower()]
        return " (remove the quotes)" if value.lower() == word else f" (write {word})"
    if allowed.startswith(YAML_TYPES[list]) and not isinstance(value, Mapping | list | None):
        return f" (write [{value}])"
    if "number" in allowed and isinstance(value, str | float):
        return _number_remedy(value, whole=YAML_TYPES[int] in allowed)
    if YAML_TYPES[str] in allowed and isinstance(value, bool):
        return " (YAML reads yes, no, on and off as true and false: put the word in quotes)"
    if YAML_TYPES[str] in allowed and isinstance(value, int | float):
        return " (put it in quotes)"
    return ""


def _number_remedy(value: str | float, *, whole: bool) -> str:
    """Say how to write a number: YAML 1.1 reads 1e-3 as text, since it has neither a point nor a sign in its exponent.

    `whole`: only whole numbers are allowed.
    """
    try:
        number = float(int(value, 0) if isinstance(value, str) and value[:2].lower() in ("0o", "0x", "0b") else value)
    except ValueError:
        return " (with a point, without separators)" if "," in str(value) else ""
    if not math.isfinite(number):
        return " that is finite"
    if whole and not number.is_integer():
        return ""
    return " (remove the quotes)" if value == decimal(number) else f" (write {decimal(number)})"


def decimal(number: float) -> str:
    """Write a number without an exponent, which YAML 1.1 would read as text."""
    text = f"{Decimal(repr(number)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def describe_type(annotation: Any) -> str:
    """Describe the types that an annotation allows, as a user of YAML calls them."""
    return " or ".join(dict.fromkeys(_type_in_words(kind) for kind in _members(annotation)))


def _type_in_words(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is typing.Literal:
        return ", ".join(str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in arguments)
    if origin is tuple and arguments and Ellipsis not in arguments:
        return f"a list ({', '.join(map(describe_type, arguments))})"
    if origin in (list, tuple):
        inner = describe_type(arguments[0]) if arguments else ""
        return f"a list (each: {inner})" if inner else "a list"
    if _is_model(origin) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return "keys and values"
    return YAML_TYPES.get(origin, getattr(origin, "__name__", str(origin)))
