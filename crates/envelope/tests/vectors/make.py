"""Makes python-sdk.json: messages of every algorithm suite, written by AWS's SDK for Python under a known wrapping key.

    pip install 'aws-encryption-sdk[MPL]==4.0.7' && python make.py > python-sdk.json

Messages hold random ids, keys and nonces, so every run gives other ones. The data of each is `length` bytes, i modulo 251.
"""

import base64
import json

import aws_encryption_sdk
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import AesWrappingAlg, CreateRawAesKeyringInput
from aws_encryption_sdk import CommitmentPolicy
from aws_encryption_sdk.identifiers import AlgorithmSuite

WRAPPING_KEY = bytes(range(32))
CONTEXT = {"purpose": "test vectors", "ключ": "значение", "a": ""}

KEYRING = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig()).create_raw_aes_keyring(
    input=CreateRawAesKeyringInput(
        key_namespace="keytrail",
        key_name="vectors",
        wrapping_key=WRAPPING_KEY,
        wrapping_alg=AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16,
    )
)


def vector(suite, length, frame_length, context):
    committed = suite.is_committing()
    policy = "REQUIRE_ENCRYPT_REQUIRE_DECRYPT" if committed else "FORBID_ENCRYPT_ALLOW_DECRYPT"
    client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy[policy])
    message, _ = client.encrypt(
        source=bytes(i % 251 for i in range(length)),
        keyring=KEYRING,
        algorithm=suite,
        frame_length=frame_length,
        encryption_context=context,
    )
    return {
        "suite": f"0x{suite.algorithm_id:04x}",
        "length": length,
        "frame_length": frame_length,
        "context": context,
        "message": base64.b64encode(message).decode(),
    }


vectors = []
for suite in AlgorithmSuite:
    vectors.append(vector(suite, 300, 128, CONTEXT))
    vectors.append(vector(suite, 40, 0, {}))
for length in [0, 1, 127, 128, 129, 256]:
    vectors.append(vector(AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384, length, 128, {}))
vectors.append(vector(AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 0, 0, CONTEXT))

print(json.dumps(vectors, indent=1, ensure_ascii=False))
