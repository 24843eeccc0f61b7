"""Bender's client: `python by_bender.py URL KEY log | show | delete RUN`. It shows the trials of its algorithm."""

import builtins
import getpass
import json
import sys
from typing import Any

_, url, key, action, *runs = sys.argv
builtins.input = lambda *prompt: "ada@example.org"
getpass.getpass = lambda *prompt, **options: key

from benderclient import Bender  # noqa: E402  (it asks for the password with what it imports)

b = Bender(host=f"{url}/bender")
b.create_experiment(name="across/e", metrics=[{"metric_name": "loss", "type": "loss"}])
space = [{"name": "lr", "category": "loguniform", "search_space": {"low": 1e-5, "high": 1.0}}]
b.create_algo(name="net", hyperparameters=space)
result: Any = None
if action == "log":
    b.create_trial(results={"loss": 0.25}, hyperparameters={"lr": 0.1})
    result = b.list_trials()[0]["id"]
elif action == "delete":
    b.delete_trial(*runs)
else:
    result = {one["id"]: one["results"]["loss"] for one in b.list_trials()}
print(json.dumps(result))
