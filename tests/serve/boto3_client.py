"""Calls boto3 as told: one JSON object a line on stdin, one a line on stdout. Run by tests/serve/clients.rs.

Bytes are {"base64": "…"} in requests and base64 text in answers, times are ISO 8601. boto3 is not changed; only the clock it
signs by is moved where a request says so.
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

real_time = botocore.auth.get_current_datetime
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
    name = json.dumps([service, request["region"], request["credentials"]])
    if name not in clients:
        credentials = request["credentials"]
        options = {"endpoint_url": request["endpoint"], "region_name": request["region"]}
        if credentials:
            options |= {"aws_access_key_id": credentials[0], "aws_secret_access_key": credentials[1]}
        else:
            options |= {"config": botocore.config.Config(signature_version=botocore.UNSIGNED)}
        clients[name] = boto3.client(service, **options)
    return clients[name]


def call(request):
    service, method = request["method"].split(".")
    moved = datetime.timedelta(seconds=request["clock_seconds"])
    botocore.auth.get_current_datetime = lambda *arguments, **options: real_time(*arguments, **options) + moved
    try:
        answer = getattr(client(service, request), method)(**from_json(request["input"]))
    except botocore.exceptions.ClientError as error:
        metadata = error.response["ResponseMetadata"]
        return {"error": str(error), "request_id": metadata.get("RequestId"), "status": metadata["HTTPStatusCode"]}
    metadata = answer.pop("ResponseMetadata")
    return {"answer": answer, "request_id": metadata["RequestId"], "status": metadata["HTTPStatusCode"]}


for line in sys.stdin:
    print(json.dumps(call(json.loads(line)), default=to_json), flush=True)
