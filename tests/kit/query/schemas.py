"""Whether a response has the form that the OpenAPI document promises."""

from typing import Any

#: Python's types of the kinds of JSON.
KINDS: dict[str, type[Any] | tuple[type[Any], ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}


class Mismatch(AssertionError):
    """A response does not fit its schema."""


def conforms(value: Any, schema: dict[str, Any], document: dict[str, Any], at: str = "$") -> None:
    """Raise Mismatch unless `value` fits `schema`: the parts of JSON Schema that the document uses, members that are
    not in the schema refused."""
    if "$ref" in schema:
        conforms(value, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document, at)
    elif "anyOf" in schema:
        for choice in schema["anyOf"]:
            try:
                return conforms(value, choice, document, at)
            except Mismatch:
                continue
        raise Mismatch(f"{at}: {value!r} fits none of {schema['anyOf']}")
    elif "enum" in schema and value not in schema["enum"]:
        raise Mismatch(f"{at}: {value!r} is none of {schema['enum']}")
    elif "type" in schema:
        if not isinstance(value, KINDS[schema["type"]]) or (schema["type"] != "boolean" and isinstance(value, bool)):
            raise Mismatch(f"{at}: {value!r} is no {schema['type']}")
        for number, item in enumerate(value if schema["type"] == "array" else ()):
            conforms(item, schema["items"], document, f"{at}[{number}]")
        if "properties" in schema:
            missing = set(schema.get("required", ())) - value.keys()
            unknown = set() if schema.get("additionalProperties") else value.keys() - schema["properties"].keys()
            if missing or unknown:
                raise Mismatch(f"{at}: missing {missing}, unknown {unknown}")
            for name in value.keys() & schema["properties"].keys():
                conforms(value[name], schema["properties"][name], document, f"{at}.{name}")
    return None
