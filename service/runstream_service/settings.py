"""Read the settings of a process from its environment and a file, and list each with its value and where it came from.

A process has one frozen tree: a pydantic model whose fields are settings, or sections with settings of their own. The
variable of a setting follows from its place: RUNSTREAM_, the section, the field, in capitals
(`RUNSTREAM_QUERY_MAX_PAGE`). A file is TOML with the same places (`[query]`, `max_page = 200`), and stands for the
variables: whoever reads the tree sees one mapping, in which the environment wins.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Self, TypeAlias, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from runstream.errors import InvalidSetting

PREFIX: Final = "RUNSTREAM_"
#: The variable that names the file.
FILE_VARIABLE: Final = "RUNSTREAM_CONFIG"
_MAX_FILE_BYTES: Final = 1_000_000
_HIDDEN: Final = "set (not shown)"
#: Kubernetes tells every container of every service in its namespace: RUNSTREAM_GATEWAY_SERVICE_HOST and the like.
_SERVICE_LINK: Final = re.compile(r"_SERVICE_(HOST|PORT)(_\w+)?$|_PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?$")

Model = TypeVar("Model", bound=BaseModel)
#: Names of fields from the root of a tree to a setting or section.
Fields: TypeAlias = tuple[str, ...]


class Origin(StrEnum):
    """Where a value came from."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    OPTION = "option"


@dataclass(frozen=True, slots=True)
class Section:
    """Annotation of a field that is a section: its name in variables and files. An empty name adds nothing to them."""

    name: str


class Place(tuple[str, ...]):
    """Annotation of a field that has another place than its name says: `Place(("worker", "group"))`."""

    __slots__ = ()


class Composed:
    """Annotation of a field that the composition root decides: no variable sets it, and nothing lists it."""


class Secret:
    """Annotation of a field whose value is never shown."""


@dataclass(frozen=True, slots=True)
class Known:
    """A setting that can be set: its variable, its place in a file, and the fields that lead to it in the tree."""

    variable: str
    place: tuple[str, ...]
    fields: Fields
    is_secret: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A setting as people are shown it. `value` and `default` are JSON values; a secret's says only that it is set."""

    name: str
    variable: str
    value: Any
    default: Any
    origin: Origin


@dataclass(frozen=True, slots=True)
class Given:
    """What the environment and a file give: the variables' texts, and which of them the file gave."""

    variables: Mapping[str, str]
    from_file: frozenset[str] = frozenset()

    def origin(self, variable: str) -> Origin:
        """Return where the value of the variable came from."""
        if not self.variables.get(variable):
            return Origin.DEFAULT
        return Origin.FILE if variable in self.from_file else Origin.ENVIRONMENT


def known_settings(model: type[BaseModel]) -> dict[str, Known]:
    """Return every setting of a tree by its variable, in the order of the tree."""
    return {known.variable: known for known in _walk(model, (), ())}


def given_settings(model: type[BaseModel], environ: Mapping[str, str] = os.environ) -> Given:
    """Read the file that RUNSTREAM_CONFIG names, if it does, under the environment.

    Raises InvalidSetting for a file that cannot be read, that is no TOML, or that holds a place which is no setting.
    """
    named = environ.get(FILE_VARIABLE, "")
    if not named:
        return Given(environ)
    from_file = _file_variables(model, Path(named))
    effective = {**from_file, **{name: text for name, text in environ.items() if text or name not in from_file}}
    return Given(effective, frozenset(name for name in from_file if not environ.get(name)))


def refuse_unknown(model: type[BaseModel], environ: Mapping[str, str], others: frozenset[str] = frozenset()) -> None:
    """Raise InvalidSetting for a variable that begins as those of a section do and is no setting.

    others: variables of other programs that begin so.
    """
    known = known_settings(model)
    sections = tuple({f"{PREFIX}{one.place[0].upper()}_" for one in known.values() if len(one.place) > 1})
    for variable in sorted(environ):
        if not variable.startswith(sections) or variable in known or variable in others:
            continue
        if _SERVICE_LINK.search(variable) is None:
            raise InvalidSetting(f"{variable} is no setting of a server: {_nearest(variable, sorted(known))}")


class ProcessSettings(BaseModel):
    """The root of a tree: every setting of one process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Where values came from that the environment or a file gave, by variable.
    origins: Annotated[Mapping[str, Origin], Composed()] = {}

    @classmethod
    def read(cls, given: Given, sections: Mapping[str, BaseModel] | None = None, **options: Any) -> Self:
        """Return the tree that was given, under `options` of the command line.

        sections: those that are read in a way of their own, by field. Raises InvalidSetting, which names the variable
        or the option and shows the value.
        """
        known = {one.fields: one for one in known_settings(cls).values()}
        texts = given.variables
        done = {**(sections or {}), **options}
        values: dict[str, Any] = {}
        for name, info in cls.model_fields.items():
            default = info.get_default(call_default_factory=True, validated_data={})
            one = known.get((name,))
            if isinstance(default, BaseModel):
                values[name] = _read_section(default, (name,), known, texts)
            # At the root an empty text is none: that is how a shell or a compose file unsets a variable.
            elif one is not None and texts.get(one.variable):
                values[name] = texts[one.variable]
        origins = {one.variable: given.origin(one.variable) for one in known.values() if one.fields[0] not in options}
        origins = {variable: origin for variable, origin in origins.items() if origin is not Origin.DEFAULT}
        try:
            return cls.model_validate({**values, **done, "origins": origins})
        except ValidationError as error:
            raise InvalidSetting(_sentence(error, (), known, texts, options)) from None

    def listed(self) -> list[Listed]:
        """List every setting with its value, its default, and where the value came from."""
        defaults = _defaults(type(self))
        found = []
        for one in known_settings(type(self)).values():
            value, default = _value(self, one.fields), defaults.get(one.fields)
            origin = self.origins.get(one.variable, Origin.DEFAULT if value == default else Origin.OPTION)
            name = ".".join(one.place)
            found.append(Listed(name, one.variable, _shown(value, one), _shown(default, one), origin))
        return found


def _read_section(section: Model, fields: Fields, known: Mapping[Fields, Known], texts: Mapping[str, str]) -> Model:
    """Return the section with what its variables say in place of its own values."""
    changed: dict[str, Any] = {}
    for name, value in section:
        one = known.get((*fields, name))
        if isinstance(value, BaseModel):
            changed[name] = _read_section(value, (*fields, name), known, texts)
        elif one is not None and one.variable in texts:
            changed[name] = texts[one.variable]
    try:
        return type(section).model_validate({**dict(section), **changed})
    except ValidationError as error:
        raise InvalidSetting(_sentence(error, fields, known, texts)) from None


def _walk(model: type[BaseModel], place: tuple[str, ...], fields: Fields) -> Iterator[Known]:
    for name, info in model.model_fields.items():
        if any(isinstance(one, Composed) for one in info.metadata):
            continue
        section = _section_model(info.annotation)
        if section is None:
            here = next((tuple(one) for one in info.metadata if isinstance(one, Place)), (*place, name))
            yield Known(PREFIX + "_".join(here).upper(), here, (*fields, name), _is_secret(info))
            continue
        named = next((one.name for one in info.metadata if isinstance(one, Section)), name)
        yield from _walk(section, (*place, named) if named else place, (*fields, name))


def _section_model(annotation: Any) -> type[BaseModel] | None:
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation if is_model else None


def _is_secret(info: FieldInfo) -> bool:
    types = (info.annotation, *get_args(info.annotation))
    return SecretStr in types or any(isinstance(one, Secret) for one in info.metadata)


def refuse_irregular(variable: str, path: Path) -> None:
    """Refuse what is there and is no file: opening a pipe would wait for whoever writes into it. Raises InvalidSetting,
    OSError."""
    if path.exists() and not path.is_file():
        raise InvalidSetting(f"{variable}={path} is no regular file: name the file itself")


def _file_variables(model: type[BaseModel], path: Path) -> dict[str, str]:
    try:
        refuse_irregular(FILE_VARIABLE, path)
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidSetting(f"{FILE_VARIABLE}={path} cannot be read: {error.strerror}") from None
    if len(data) > _MAX_FILE_BYTES:
        raise InvalidSetting(f"{FILE_VARIABLE}={path} has more than {_MAX_FILE_BYTES} bytes: name the settings file")
    try:
        table = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError, and so is a number too long
        raise InvalidSetting(f"{path} is no TOML: {error}") from None
    by_place = {one.place: one for one in known_settings(model).values()}
    return {by_place[place].variable: _text(place, value, path) for place, value in _places(table, by_place, path)}


def _places(
    table: Mapping[str, Any], known: Mapping[tuple[str, ...], Known], path: Path, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in table.items():
        place = (*above, name)
        if place in known:
            yield place, value
        elif isinstance(value, dict) and any(one[: len(place)] == place for one in known):
            yield from _places(value, known, path, place)
        else:
            names = [".".join(one) for one in known]
            raise InvalidSetting(
                f"{path}: {'.'.join(place)} is no setting of a server: {_nearest('.'.join(place), names)}"
            )


def _text(place: tuple[str, ...], value: Any, path: Path) -> str:
    """Return the text that the variable would have for a value of a file."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int | float | str):
        return str(value)
    if isinstance(value, list) and all(isinstance(one, str | int) for one in value):
        return ",".join(map(str, value))
    raise InvalidSetting(f"{path}: {'.'.join(place)} holds a {type(value).__name__}: give a number, a text or a list")


def _nearest(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else "docs/configuration.md lists them"


def _sentence(
    error: ValidationError,
    fields: Fields,
    known: Mapping[Fields, Known],
    texts: Mapping[str, str],
    options: Mapping[str, Any] | None = None,
) -> str:
    """Return the first finding about the section at `fields` as a sentence that names the option or variable, and its
    value unless it is secret."""
    first = error.errors(include_url=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    message = str(first["msg"]).removeprefix("Value error, ")
    if field in (options or {}):
        return f"--{field.replace('_', '-')}: {message}"
    one = known.get((*fields, field))
    if one is None:
        return f"{field}: {message}" if field else message
    shown = "" if one.is_secret else f"={texts.get(one.variable, '')[:100]!r}"
    return f"{one.variable}{shown} cannot be used: {message}"


def _defaults(model: type[BaseModel], fields: Fields = ()) -> dict[Fields, Any]:
    found: dict[Fields, Any] = {}
    for name, info in model.model_fields.items():
        default = info.get_default(call_default_factory=True, validated_data={})
        section = _section_model(info.annotation)
        if section is None:
            found[(*fields, name)] = None if info.is_required() else default
        elif isinstance(default, BaseModel):
            for leaf, value in _leaves(default):
                found[(*fields, name, *leaf)] = value
        else:
            found |= _defaults(section, (*fields, name))
    return found


def _leaves(tree: BaseModel) -> Iterator[tuple[Fields, Any]]:
    for name, value in tree:
        if isinstance(value, BaseModel):
            for leaf, inner in _leaves(value):
                yield (name, *leaf), inner
        else:
            yield (name,), value


def _value(tree: BaseModel, fields: Fields) -> Any:
    value: Any = tree
    for name in fields:
        value = getattr(value, name)
    return value


def _shown(value: Any, one: Known) -> Any:
    if one.is_secret:
        return _HIDDEN if value else None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list | frozenset):
        return [str(each) for each in value]
    return str(value)
