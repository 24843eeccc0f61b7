"""The largest request of each route of UbiOps' interface, beside those of `largest_requests`."""

from typing import Any, Final

from kit.hostile.largest_requests import GATEWAY, Maker, api, document, multipart, queried


def foreign(**fields: Any) -> Maker:
    return document(GATEWAY.max_commands_bytes, **fields)


_NO_QUERY: Final = queried()
_ROOT: Final = "/ubiops/{api}"
_PROJECT: Final = f"{_ROOT}/projects/{{project}}"
_DEPLOYMENT: Final = f"{_PROJECT}/deployments/{{deployment}}"
_EXPERIMENT: Final = f"{_DEPLOYMENT}/versions/{{version}}"
_FILES: Final = f"{_PROJECT}/buckets/{{bucket}}/files"
_VARIABLES: Final = tuple(f"{one}/environment-variables" for one in (_PROJECT, _EXPERIMENT))
_LEASES: Final = "/agents/v1/projects/{project}/leases"
_HELD: Final = foreign(lease="0" * 32, token=1)
_VARIABLE: Final = foreign(name="x", value="x" * 100_000, secret=True)

#: By `route_key`.
UBIOPS_LARGEST: Final[dict[str, Maker]] = {
    f"POST {_ROOT}/projects": foreign(name="new"),
    f"POST {_PROJECT}/deployments": foreign(name="training-base-deployment"),
    f"POST {_PROJECT}/buckets": foreign(name="b", labels=dict.fromkeys(map(str, range(10_000)), "x")),
    f"POST {_DEPLOYMENT}/versions": foreign(version="e", labels=dict.fromkeys(map(str, range(10_000)), "x")),
    f"PATCH {_EXPERIMENT}": foreign(version="e", labels=dict.fromkeys(map(str, range(10_000)), "x")),
    f"POST {_EXPERIMENT}/revisions": multipart(),
    f"POST {_EXPERIMENT}/copy-environment-variables": foreign(source_version="x" * 100_000),
    **{f"POST {path}": _VARIABLE for path in _VARIABLES},
    **{f"PATCH {path}/{{id}}": _VARIABLE for path in _VARIABLES},
    **dict.fromkeys(
        (
            *(f"GET {_ROOT}{what}" for what in ("/projects", "/projects/{project}", "/template-deployments")),
            *(f"GET {_PROJECT}/{what}" for what in ("environments", "environments/{environment}")),
            *(f"GET {_PROJECT}/environments/{{environment}}/{what}" for what in ("tags", "tags/{tag}")),
            *(f"GET {_PROJECT}/{what}" for what in ("buckets", "buckets/{bucket}")),
            f"GET {_DEPLOYMENT}",
            *(f"{method} {_EXPERIMENT}" for method in ("GET", "DELETE")),
            f"GET {_EXPERIMENT}/revisions/{{revision}}",
            *(f"GET {path}" for path in _VARIABLES),
            *(f"{method} {path}/{{id}}" for method in ("GET", "DELETE") for path in _VARIABLES),
        ),
        _NO_QUERY,
    ),
    f"POST {_EXPERIMENT}/requests/batch": api({"name": "r", "training_code": "ubiops-file://default/f"}, "items"),
    f"PATCH {_EXPERIMENT}/requests/{{run}}": foreign(status="cancelled"),
    **dict.fromkeys(
        (
            *(f"{method} {_EXPERIMENT}/requests/{{run}}" for method in ("GET", "DELETE")),
            *(f"{method} {_FILES}/{{file}}" for method in ("GET", "POST", "DELETE")),
            f"GET {_FILES}/{{file}}/download",
            f"GET {_ROOT}/downloads/{{ticket}}",
        ),
        _NO_QUERY,
    ),
    f"PUT {_ROOT}/uploads/{{ticket}}": multipart(),
    f"POST {_LEASES}": foreign(agent="a", host="h", ttl_s=3_600),
    **{f"POST {_LEASES}/{{run}}/{what}": _HELD for what in ("renew", "start", "release", "variables")},
    f"POST {_LEASES}/{{run}}/file": foreign(lease="0" * 32, token=1, write="x" * 255),
    f"POST {_LEASES}/{{run}}/end": foreign(lease="0" * 32, token=1, status="failed", message="x" * 20_000),
    f"GET {_EXPERIMENT}/requests": queried(status="pending", search_id="a" * 10_000),
    f"GET {_FILES}": queried(prefix="a" * 10_000),
    f"GET {_DEPLOYMENT}/versions": queried(labels=",".join(f"k{number}:v" for number in range(1_000))),
}
