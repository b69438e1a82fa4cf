"""Makes vectors.json: requests as botocore signs them. `pip install botocore==1.44.5`, then `python vectors.py > vectors.json`.

The signatures are botocore's own; nothing here computes one. The time is fixed, so the output is too.
"""

import datetime
import json

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
botocore.auth.get_current_datetime = lambda *arguments, **options: NOW.replace(tzinfo=None)

KMS = {"Content-Type": "application/x-amz-json-1.1"}
CASES = [
    ("Encrypt", "us-east-1", "kms", KMS | {"X-Amz-Target": "TrentService.Encrypt"},
     '{"KeyId": "alias/payments", "Plaintext": "aGVsbG8="}'),
    ("a body that is empty", "us-east-1", "kms", KMS | {"X-Amz-Target": "TrentService.ListKeys"}, ""),
    ("a body with all kinds of letters", "eu-central-1", "kms", KMS | {"X-Amz-Target": "TrentService.CreateKey"},
     '{"Description": "Schlüssel für Zahlungen 🔑 \\u0000"}'),
    ("a long body", "us-gov-west-1", "kms", KMS | {"X-Amz-Target": "TrentService.Encrypt"}, "x" * 4096),
    ("other signed headers", "ap-southeast-2", "kms",
     KMS | {"X-Amz-Target": "TrentService.Decrypt", "amz-sdk-invocation-id": "5e6f", "amz-sdk-request": "attempt=1",
            "X-Custom": "  two  words   and more "}, "{}"),
    ("headers that are not signed", "us-east-1", "kms",
     KMS | {"X-Amz-Target": "TrentService.Decrypt", "User-Agent": "aws-cli/1.46.3 md/Botocore#1.44.5", "Expect": "100-continue",
            "X-Amzn-Trace-Id": "Root=1-5e6f"}, "{}"),
    ("STS, the query protocol", "us-east-1", "sts", {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
     "Action=GetCallerIdentity&Version=2011-06-15"),
]


def sign(case):
    name, region, service, headers, body = case
    request = AWSRequest("POST", "http://127.0.0.1:4599/", headers=dict(headers), data=body.encode())
    botocore.auth.SigV4Auth(Credentials(ID, SECRET), service, region).add_auth(request)
    headers = {key.lower(): value for key, value in request.headers.items()} | {"host": "127.0.0.1:4599"}
    return {"name": name, "region": region, "service": service, "headers": sorted(headers.items()), "body": body}


document = {"access_key_id": ID, "secret": SECRET, "now": NOW.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "requests": [sign(case) for case in CASES]}
print(json.dumps(document, indent=1, ensure_ascii=False))
