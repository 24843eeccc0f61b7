"""What a request takes: HTML or not, packed or not, what its cache has. Pure, over values of headers."""


def accepts_html(accept: str | None) -> bool:
    """Whether a person's browser asks: it names HTML. Programs that take anything (`*/*`) name nothing."""
    return _takes(accept, ("text/html", "application/xhtml+xml"))


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether gzip may be sent."""
    return _takes(accept_encoding, ("gzip",))


def is_cached(if_none_match: str | None, tag: str) -> bool:
    """Whether the cache of a client has what the tag (without quotes) stands for."""
    given = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    return f'"{tag}"' in given or given == ["*"]


def _takes(header: str | None, names: tuple[str, ...]) -> bool:
    for one in (header or "").lower().split(","):
        name, *parameters = (part.strip() for part in one.split(";"))
        if name in names:
            return not any(_is_zero(parameter) for parameter in parameters)
    return False


def _is_zero(parameter: str) -> bool:
    """Whether it is the weight that means: not this one."""
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and value.strip() in ("0", "0.", "0.0", "0.00", "0.000")
