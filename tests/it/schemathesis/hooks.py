"""Makes generated requests meet what the server has: its pipelines, operators, savepoints and tokens.

Most of what schemathesis makes up is not there, and a 404 tells little. So a part of the requests gets names that
exist, and bodies that can be carried out; which part is decided by the request itself, so that a seed gives one run.
The first right requests of each operation get the first choice of everything, which is one that can succeed: whatever
the seed, each operation is also seen at work.
What the test relies on is never stopped, deleted or revoked: `kept` is only looked at and swapped, `given` is for
everything else, and `drafts` come and go.
"""

import collections
import json
import os
import time
import zlib

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation

THERE = json.loads(os.environ["WEIR_FUZZ"])
KEPT, GIVEN = THERE["kept"], THERE["given"]
DRAFTS = ["draft-a", "draft-b"]
SAVEPOINTS = ["made-a", "made-b"]
SESSION = requests.Session()
SESSION.headers["Authorization"] = "Bearer " + os.environ["WEIR_FUZZ_TOKEN"]

with open(THERE["component"], "rb") as file:
    COMPONENT = file.read()


# Right requests of an operation and a media type that are led to success.
LED = 3
RIGHT_ONES = collections.Counter()


def lead(case):
    """Is this one of the first right requests of its operation? Known from here on to `one_of`."""
    right = not any(is_wrong(case, location) for location in ParameterLocation)
    kind = (case.operation.label, case.media_type)
    RIGHT_ONES[kind] += right
    one_of.led = right and RIGHT_ONES[kind] <= LED


def one_of(case, choices):
    """One of them, by what the request is."""
    if one_of.led:
        return choices[0]
    text = repr((case.operation.label, case.path_parameters, case.query, case.headers, case.body))
    return choices[zlib.crc32(text.encode(errors="replace")) % len(choices)]


one_of.led = False


def document(name):
    """The pipeline file of `given` for a pipeline of this name."""
    return THERE["document"].replace(GIVEN, name)


def is_wrong(case, location):
    """What was made to be wrong stays wrong."""
    return case.meta is not None and case.meta.is_negative_at(location)


def set_path(key, *choices):
    """A part of the path becomes one of these, or stays: `None`."""

    def change(case):
        chosen = one_of(case, choices)
        if chosen is not None and not is_wrong(case, ParameterLocation.PATH):
            case.path_parameters[key] = chosen

    return change


def set_body(make, media_type="application/json", share=2):
    """One body of so many becomes one that can be carried out."""

    def change(case):
        wrong = is_wrong(case, ParameterLocation.BODY)
        if case.media_type == media_type and not wrong and one_of(case, range(share)) == 0:
            case.body = make(case)

    return change


def unconditional(case):
    """Most requests go without `If-Match`, which nobody can guess."""
    if case.headers and not is_wrong(case, ParameterLocation.HEADER) and one_of(case, [True, True, True, False]):
        case.headers.pop("If-Match", None)


def put(name, text):
    """Puts a draft, and returns the URL of the pipeline."""
    url = f"{THERE['url']}/v1/pipelines/{name}"
    SESSION.put(url, data=text, headers={"Content-Type": "application/toml"}, timeout=30).raise_for_status()
    return url


def draft(case):
    """There is a draft that can be deleted."""
    if case.path_parameters["name"] in DRAFTS:
        put(case.path_parameters["name"], document(case.path_parameters["name"]))


def saved(case):
    """There is a savepoint that can be deleted; one of this name may be there already."""
    if case.path_parameters["savepoint"] in SAVEPOINTS:
        url = f"{THERE['url']}/v1/pipelines/{KEPT}/savepoints"
        SESSION.post(url, json={"name": case.path_parameters["savepoint"]}, timeout=30)


def plan(case):
    """The hash of a plan that can be applied."""
    if case.path_parameters.get("name") != GIVEN:
        return case.body
    text = document(GIVEN).replace("rate = 2000", one_of(case, ["rate = 2000", "rate = 2001"]))
    answer = SESSION.post(f"{put(GIVEN, text)}/plan", timeout=30)
    answer.raise_for_status()
    return {"hash": answer.json()["hash"], "force": True}


def stopped(case):
    """Positions are those of a pipeline that does not run."""
    if one_of.led and case.path_parameters.get("name") == GIVEN:
        url = f"{THERE['url']}/v1/pipelines/{GIVEN}"
        SESSION.post(f"{url}/stop", timeout=30)
        until = time.monotonic() + 20
        while time.monotonic() < until and SESSION.get(f"{url}/status", timeout=30).json()["actual"] != "stopped":
            time.sleep(0.05)


def without_query(case):
    """Names of operators and kinds are hard to guess."""
    if one_of.led:
        case.query = {}


def swap(case):
    """To one of two versions, quickly; now and then a trial."""
    probation = {"time": "100ms", "records": 1}
    version = one_of(case, [1, 2, "latest", f"{THERE['operator']}@1"])
    trial = one_of(case, [False, False, True])
    return {"version": version, "probation": probation, "dry_run": trial, "force": True}


def component(case):
    """A good one, or one of which a byte is another."""
    at = one_of(case, range(len(COMPONENT)))
    damaged = COMPONENT[:at] + bytes([COMPONENT[at] ^ 0x5A]) + COMPONENT[at + 1 :]
    return one_of(case, [COMPONENT, damaged, damaged])


LOOKED_AT = set_path("name", KEPT, KEPT, GIVEN, DRAFTS[0], None)
CHANGED = set_path("name", GIVEN, GIVEN, GIVEN, DRAFTS[1], None)
DELETED = set_path("name", *DRAFTS, *DRAFTS, None)
OPERATOR = set_path("name", THERE["operator"], THERE["operator"], "spare", None)
VERSION = set_path("version", 1, 1, 2, None)

CHANGES = {
    "list_versions": [OPERATOR],
    "push_version": [set_path("name", "spare", "spare", None)],
    "show_version": [OPERATOR, VERSION],
    "delete_version": [set_path("name", "spare", "spare", THERE["operator"], None), set_path("version", 1, 2, 3, None)],
    "download_component": [OPERATOR, VERSION],
    "test_version": [
        OPERATOR,
        VERSION,
        set_body(lambda case: {"input": [{"key": "a", "value": "1"}, {"value": "no key"}]}, share=3),
    ],
    "put_pipeline": [
        set_path("name", *DRAFTS, *DRAFTS, None),
        unconditional,
        set_body(lambda case: document(case.path_parameters["name"]), "application/toml"),
    ],
    "delete_pipeline": [DELETED, unconditional, draft],
    "apply_pipeline": [CHANGED, unconditional, set_body(plan)],
    "start_pipeline": [CHANGED, set_body(lambda case: {}, share=3)],
    "stop_pipeline": [CHANGED],
    "restart_pipeline": [CHANGED, unconditional],
    "rollback_pipeline": [
        set_path("name", KEPT, KEPT, GIVEN, None),
        set_body(lambda case: {"probation": swap(case)["probation"], "force": True}),
    ],
    "create_savepoint": [LOOKED_AT, set_body(lambda case: {"name": one_of(case, SAVEPOINTS)}, share=3)],
    "delete_savepoint": [
        set_path("name", KEPT, KEPT, KEPT, GIVEN, None),
        set_path("savepoint", *SAVEPOINTS, *SAVEPOINTS, None),
        saved,
    ],
    "export_savepoint": [LOOKED_AT, set_path("savepoint", "first", "first", None)],
    "swap_operator": [
        set_path("name", KEPT, KEPT, GIVEN, None),
        set_path("id", "count", "count", "count", None),
        set_body(swap),
    ],
    "reset_offsets": [
        CHANGED,
        set_body(lambda case: {"to": one_of(case, ["earliest", "current", "snapshot"]), "state": "empty", "dry_run": one_of(case, [True, True, False])}),
        stopped,
    ],
    "list_letters": [LOOKED_AT, without_query],
    "replay_letters": [CHANGED, unconditional, set_body(lambda case: {"kinds": ["trap"]})],
    "show_swap": [LOOKED_AT, set_path("id", THERE["swap"], None)],
    "cancel_swap": [LOOKED_AT, set_path("id", THERE["swap"], None)],
    "create_token": [set_body(lambda case: {"name": "made", "role": "viewer", "expires_in": "1h"})],
    "revoke_token": [set_path("id", THERE["spare_token"], None)],
}
for looks in [
    "show_pipeline",
    "plan_pipeline",
    "pipeline_status",
    "list_revisions",
    "list_checkpoints",
    "list_savepoints",
    "show_offsets",
    "pipeline_events",
    "list_swaps",
]:
    CHANGES[looks] = [LOOKED_AT]

# What would take away what the test relies on, by whichever way schemathesis has learned its name.
SPARED = {
    "delete_pipeline": ("name", [KEPT, GIVEN], DRAFTS[0]),
    "put_pipeline": ("name", [KEPT, GIVEN], DRAFTS[0]),
    "stop_pipeline": ("name", [KEPT], GIVEN),
    "restart_pipeline": ("name", [KEPT], GIVEN),
    "apply_pipeline": ("name", [KEPT], GIVEN),
    "start_pipeline": ("name", [KEPT], GIVEN),
    "replay_letters": ("name", [KEPT], GIVEN),
    "reset_offsets": ("name", [KEPT], GIVEN),
    "delete_savepoint": ("savepoint", ["first"], SAVEPOINTS[0]),
    "revoke_token": ("id", [THERE["token"]], THERE["spare_token"]),
}


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = case.operation.definition.raw["operationId"]
    lead(case)
    for change in CHANGES.get(operation, []):
        change(case)
    key, spared, instead = SPARED.get(operation, (None, [], None))
    if key is not None and case.path_parameters.get(key) in spared:
        case.path_parameters[key] = instead


@schemathesis.serializer("application/wasm")
def wasm(context, value):
    if not is_wrong(context.case, ParameterLocation.BODY) and one_of(context.case, range(2)) == 0:
        return component(context.case)
    return getattr(value, "data", None) or str(value).encode(errors="replace")


@schemathesis.serializer("application/toml")
def toml(context, value):
    return str(value).encode(errors="replace")
