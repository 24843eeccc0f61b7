"""What can be wrong with a question, split by what the asker does about it."""

#: Of a long line, what is shown to the left and to the right of a mistake.
_SHOWN_CHARS = 200


class QueryError(Exception):
    """The query service cannot answer. The message names the thing, the value and the next step."""


class FilterError(QueryError):
    """A filter expression is wrong: correct it.

    `column` is the place of the mistake, counted from 1; `text` the expression; both are absent where a tree
    was built in Python and never had a text. `pointed()` shows the place. `name` is the request's
    parameter that had it.
    """

    def __init__(self, message: str, *, text: str = "", column: int = 0, name: str = "") -> None:
        self.message, self.text, self.column, self.name = message, text, column, name
        super().__init__(f"{message} (column {column})" if column else message)

    def pointed(self) -> str:
        """The line of the expression that has the mistake, or what of a long one is around the place; and below it a
        caret at the place."""
        if not self.column:
            return ""
        at = self.column - 1
        begin = self.text.rfind("\n", 0, at) + 1
        end = self.text.find("\n", at)
        line = self.text[begin : end if end >= 0 else len(self.text)].replace("\t", " ")
        place = at - begin
        if len(line) > 2 * _SHOWN_CHARS:
            cut = max(0, place - _SHOWN_CHARS)
            line, place = line[cut : cut + 2 * _SHOWN_CHARS], place - cut
        return f"{line}\n{' ' * place}^"


class InvalidRequest(QueryError):
    """A request asks for something that cannot be: correct it. `name` is the parameter or field that is wrong."""

    def __init__(self, message: str, *, name: str = "") -> None:
        self.name = name
        super().__init__(message)


class NotFound(QueryError):
    """What was asked for is not there (yet): check its name, or wait for it with `wait_for`."""


class NotVisible(QueryError):
    """The position that the request wanted to wait for was not visible in time: ask again."""


class TooBusy(QueryError):
    """The service has no room for this now: try again later."""


class LimitExceeded(QueryError):
    """A question is larger than a limit of the settings: ask for less. `limit` is the field of QuerySettings."""

    def __init__(self, message: str, *, limit: str, value: int) -> None:
        self.limit, self.value = limit, value
        super().__init__(message)
