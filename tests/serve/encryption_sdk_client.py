"""Calls the AWS Encryption SDK for us: a JSON line in, a JSON line out (`encryption_sdk.rs`).

    {"do": "encrypt", "keyring": {"kind": "kms", "key": ARN}, "input": BASE64, "context": {}, "suite": null, "frame_length": 4096}
    {"do": "decrypt", "keyring": {…}, "input": BASE64, "context": {}, "allow_uncommitted": false}
    {"do": "call", "method": "create_key", "input": {…}}

Each with `endpoint`, `region` and `credentials`. The answer is `{"output": …}` or `{"error": "…"}`.
"""

import base64
import json
import logging
import sys

import aws_encryption_sdk
import boto3
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import (
    CreateAwsKmsDiscoveryKeyringInput,
    CreateAwsKmsEcdhKeyringInput,
    CreateAwsKmsKeyringInput,
    CreateAwsKmsMrkDiscoveryKeyringInput,
    CreateAwsKmsMrkKeyringInput,
    CreateAwsKmsRsaKeyringInput,
    KmsEcdhStaticConfigurationsKmsPrivateKeyToStaticPublicKey,
    KmsEcdhStaticConfigurationsKmsPublicKeyDiscovery,
    KmsPrivateKeyToStaticPublicKeyInput,
    KmsPublicKeyDiscoveryInput,
)
from aws_encryption_sdk import CommitmentPolicy
from aws_encryption_sdk.identifiers import AlgorithmSuite
from botocore.config import Config

PROVIDERS = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
CURVE = "ECC_NIST_P256"

logging.disable()  # the SDK also logs what it raises


def kms_client(request):
    access_key_id, secret = request["credentials"]
    return boto3.client(
        "kms",
        endpoint_url=request["endpoint"],
        region_name=request["region"],
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


def public_key(kms, key):
    return kms.get_public_key(KeyId=key)["PublicKey"]


def pem(der):
    return b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(der) + b"-----END PUBLIC KEY-----\n"


def ecdh(kms, scheme):
    return PROVIDERS.create_aws_kms_ecdh_keyring(
        input=CreateAwsKmsEcdhKeyringInput(key_agreement_scheme=scheme, curve_spec=CURVE, kms_client=kms)
    )


def keyring(request, kms):
    wanted = request["keyring"]
    match wanted["kind"]:
        case "kms":
            return PROVIDERS.create_aws_kms_keyring(
                input=CreateAwsKmsKeyringInput(kms_key_id=wanted["key"], kms_client=kms)
            )
        case "discovery":
            return PROVIDERS.create_aws_kms_discovery_keyring(input=CreateAwsKmsDiscoveryKeyringInput(kms_client=kms))
        case "mrk":
            return PROVIDERS.create_aws_kms_mrk_keyring(
                input=CreateAwsKmsMrkKeyringInput(kms_key_id=wanted["key"], kms_client=kms)
            )
        case "mrk-discovery":
            return PROVIDERS.create_aws_kms_mrk_discovery_keyring(
                input=CreateAwsKmsMrkDiscoveryKeyringInput(kms_client=kms, region=request["region"])
            )
        case "rsa":
            return PROVIDERS.create_aws_kms_rsa_keyring(
                input=CreateAwsKmsRsaKeyringInput(
                    kms_key_id=wanted["key"],
                    encryption_algorithm=wanted["algorithm"],
                    public_key=pem(public_key(kms, wanted["key"])),
                    kms_client=kms,
                )
            )
        case "ecdh":
            scheme = KmsPrivateKeyToStaticPublicKeyInput(
                sender_kms_identifier=wanted["sender"],
                recipient_public_key=public_key(kms, wanted["recipient"]),
            )
            return ecdh(kms, KmsEcdhStaticConfigurationsKmsPrivateKeyToStaticPublicKey(scheme))
        case "ecdh-discovery":
            scheme = KmsPublicKeyDiscoveryInput(recipient_kms_identifier=wanted["recipient"])
            return ecdh(kms, KmsEcdhStaticConfigurationsKmsPublicKeyDiscovery(scheme))


def encrypt(request, kms):
    suite = AlgorithmSuite.get_by_id(int(request["suite"], 16)) if request.get("suite") else None
    committed = suite is None or suite.is_committing()
    policy = "REQUIRE_ENCRYPT_REQUIRE_DECRYPT" if committed else "FORBID_ENCRYPT_ALLOW_DECRYPT"
    client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy[policy])
    message, header = client.encrypt(
        source=base64.b64decode(request["input"]),
        keyring=keyring(request, kms),
        encryption_context=request["context"],
        frame_length=request.get("frame_length", 4096),
        **({"algorithm": suite} if suite else {}),
    )
    return {"data": base64.b64encode(message).decode(), "context": dict(header.encryption_context)}


def decrypt(request, kms):
    policy = "REQUIRE_ENCRYPT_ALLOW_DECRYPT" if request.get("allow_uncommitted") else "REQUIRE_ENCRYPT_REQUIRE_DECRYPT"
    client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy[policy])
    data, header = client.decrypt(
        source=base64.b64decode(request["input"]),
        keyring=keyring(request, kms),
        encryption_context=request["context"],
    )
    return {"data": base64.b64encode(data).decode(), "context": dict(header.encryption_context)}


def call(request, kms):
    answer = getattr(kms, request["method"])(**request["input"])
    answer.pop("ResponseMetadata")
    return answer


def texts(error):
    """The error and those within it: what it wraps, and one for each encrypted data key that was tried."""
    within = [*getattr(error, "args", []), *(getattr(error, "list", None) or [])]
    inner = [text for one in within if isinstance(one, Exception) for text in texts(one)]
    return [f"{type(error).__name__}: {error}", *inner]


DOINGS = {"encrypt": encrypt, "decrypt": decrypt, "call": call}

for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {"output": DOINGS[request["do"]](request, kms_client(request))}
    except Exception as error:  # whatever the SDK raises: its text is what a test looks at
        answer = {"error": "; ".join(texts(error))}
    print(json.dumps(answer, default=str), flush=True)
