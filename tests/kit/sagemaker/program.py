"""Run steps of the client that are named: `python -m kit.sagemaker.program URL KEY STEP...`, in their order.

It runs in the client's environment, without anything of Runstream. On standard output: {step: {"value": ...}} or
{step: {"error": class, "code": ..., "message": ..., "status": ..., "retries": ...}}.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from kit.sagemaker.upload_steps import UploadSteps


def told(step: Callable[[], Any]) -> dict[str, Any]:
    """Return what came of a step."""
    try:
        return {"value": step()}
    except ClientError as error:
        shown, response = error.response["Error"], error.response["ResponseMetadata"]
        return {
            "error": type(error).__name__,
            "code": shown["Code"],
            "message": shown["Message"],
            "status": response["HTTPStatusCode"],
            "retries": response["RetryAttempts"],
        }


def main() -> None:
    url, key, *names = sys.argv[1:]
    steps = UploadSteps(url, key)
    print(json.dumps({name: told(getattr(steps, name)) for name in names}))


if __name__ == "__main__":
    main()
