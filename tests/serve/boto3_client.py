"""Calls boto3 as told: one JSON object a line on stdin, one a line on stdout. Run by tests/serve/clients.rs.

Bytes are {"base64": "…"} in requests and base64 text in answers, times are ISO 8601. boto3 is not changed; only the clock it
signs by is moved where a request says so, and its own checks are left out where a request is to be wrong. Methods of `offline`
are those of the module beside this one.
"""

import base64
import datetime
import json
import sys

import boto3
import botocore
import botocore.auth
import botocore.config
import botocore.exceptions

import offline

real_time = botocore.auth.get_current_datetime
session = boto3.Session()
clients = {}


def from_json(value):
    if isinstance(value, dict):
        if set(value) == {"base64"}:
            return base64.b64decode(value["base64"])
        return {name: from_json(member) for name, member in value.items()}
    return [from_json(item) for item in value] if isinstance(value, list) else value


def to_json(value):
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    raise TypeError(type(value))


def client(service, request):
    name = json.dumps([service, request["endpoint"], request["region"], request["credentials"], request["unchecked"]])
    if name not in clients:
        credentials = request["credentials"]
        options = {"parameter_validation": not request["unchecked"]}
        names = {"endpoint_url": request["endpoint"], "region_name": request["region"]}
        if credentials:
            names |= dict(zip(["aws_access_key_id", "aws_secret_access_key", "aws_session_token"], credentials))
        else:
            options |= {"signature_version": botocore.UNSIGNED}
        clients[name] = session.client(service, **names, config=botocore.config.Config(**options))
    return clients[name]


def call(request):
    service, method = request["method"].split(".")
    members = from_json(request["input"])
    if service == "offline":
        return {"answer": getattr(offline, method)(**members)}
    moved = datetime.timedelta(seconds=request["clock_seconds"])
    botocore.auth.get_current_datetime = lambda *arguments, **options: real_time(*arguments, **options) + moved
    caller = client(service, request)
    try:
        answer = getattr(caller, method)(**members)
    except botocore.exceptions.ClientError as error:
        metadata = error.response["ResponseMetadata"]
        modelled = caller.meta.service_model.operation_model(error.operation_name).error_shapes
        return {
            "error": str(error),
            "modelled": [shape.error_code for shape in modelled],
            "request_id": metadata.get("RequestId"),
            "status": metadata["HTTPStatusCode"],
        }
    except botocore.exceptions.BotoCoreError as error:
        return {"error": str(error)}
    metadata = answer.pop("ResponseMetadata")
    return {"answer": answer, "request_id": metadata["RequestId"], "status": metadata["HTTPStatusCode"]}


for line in sys.stdin:
    print(json.dumps(call(json.loads(line)), default=to_json), flush=True)
