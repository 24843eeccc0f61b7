"""Who may do what: principals, scopes, and the one function that decides.

A principal is whoever a request comes from, as its key names it. An action is what the request is about to do. A scope
is what is left of a principal for one action: the workspaces in which it may be done. Routes name their action,
repositories take a scope, and nothing else in a server decides about rights.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from aiohttp import web

from runstream_service.problems import Problem


class Action(StrEnum):
    """What a request does. Each route names one."""

    OPERATE = "operate"  # metrics, and why a server is not ready
    READ = "read"
    LOG = "log"  # the events, points and files of runs
    EDIT = "edit"  # what people change: names, tags, notes, deletions, artifacts, projects
    ADMINISTER = "administer"  # principals and their rights, and the server itself


#: Actions that change nothing.
READING: Final = frozenset({Action.OPERATE, Action.READ})

#: Every workspace, those that do not exist yet as well.
EVERY_WORKSPACE: Final = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Workspaces; EVERY_WORKSPACE stands for all of them. The empty set sees nothing."""

    workspaces: frozenset[str] | None

    @property
    def is_empty(self) -> bool:
        """Whether it covers no workspace at all."""
        return self.workspaces is not EVERY_WORKSPACE and not self.workspaces

    def covers(self, workspace: str) -> bool:
        """Return whether the workspace is within the scope."""
        return self.workspaces is EVERY_WORKSPACE or workspace in self.workspaces


#: The scope of whoever may see all, and of the server's own maintenance.
EVERYTHING: Final = Scope(EVERY_WORKSPACE)
NOTHING: Final = Scope(frozenset())


@dataclass(frozen=True, slots=True)
class Grant:
    """Actions that a principal may do, and in which workspaces."""

    actions: frozenset[Action]
    scope: Scope = EVERYTHING


def _scope(grants: tuple[Grant, ...], action: Action) -> Scope:
    scopes = [grant.scope for grant in grants if action in grant.actions]
    if any(scope.workspaces is EVERY_WORKSPACE for scope in scopes):
        return EVERYTHING
    return Scope(frozenset().union(*(scope.workspaces or () for scope in scopes)))


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever a request comes from. `name` stands in logs and metrics; it opens nothing."""

    name: str
    grants: tuple[Grant, ...]
    _scopes: Mapping[Action, Scope] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_scopes", {action: _scope(self.grants, action) for action in Action})

    def scope(self, action: Action) -> Scope:
        """Return the workspaces in which the principal may do the action."""
        return self._scopes[action]

    @property
    def may_change(self) -> bool:
        """Whether there is anything that the principal may change."""
        return any(not self._scopes[action].is_empty for action in Action if action not in READING)


def full_principal(name: str) -> Principal:
    """Return a principal that may do everything everywhere."""
    return Principal(name, (Grant(frozenset(Action)),))


def reading_principal(name: str) -> Principal:
    """Return a principal that may read everything and change nothing."""
    return Principal(name, (Grant(READING),))


#: Every program of this machine, on a server without keys.
LOCAL: Final = full_principal("local")
#: Whoever a request comes from, once it has been let in.
PRINCIPAL: Final = web.RequestKey("runstream_principal", Principal)


def principal_of(request: web.Request) -> Principal:
    """Return whoever a request comes from. Where nobody is authenticated, that is a program of this machine."""
    principal: Principal = request.get(PRINCIPAL, LOCAL)
    return principal


def authorize(principal: Principal, action: Action, workspace: str | None = None) -> Problem | None:
    """Return why the principal may not do the action, or None if it may.

    workspace: where; None asks whether there is any workspace in which it may, which is what a route can tell before it
    has read its request.
    """
    scope = principal.scope(action)
    allowed = not scope.is_empty if workspace is None else scope.covers(workspace)
    if allowed:
        return None
    if action not in READING and not principal.may_change:
        detail = "This key only reads: use one without `:read` in the server's RUNSTREAM_API_KEYS."
        return Problem(403, "read-only", "The key may not write", detail)
    where = "" if workspace is None else f" in workspace {workspace!r}"
    return Problem(
        403,
        "forbidden",
        "The key has no right to do this",
        f"The key {principal.name} may not {action.value}{where}: use a key that has the right, or ask whoever runs "
        "the server for it.",
    )
