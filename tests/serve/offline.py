"""The judge: does without the endpoint what its users do with the same keys, by the `cryptography` package.

A method gets and gives members as an operation of KMS does. One that finds something wrong raises, and the case fails.
"""

import datetime
import hashlib
import os

from cryptography.hazmat.primitives import hashes, hmac, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

# What a client keeps for itself: private keys, by a name that it gives them.
kept = {}

curves = {"ECC_NIST_P256": ec.SECP256R1, "ECC_NIST_P384": ec.SECP384R1, "ECC_NIST_P521": ec.SECP521R1, "ECC_SECG_P256K1": ec.SECP256K1}


def sha(algorithm):
    return getattr(hashes, "SHA" + algorithm.rsplit("_", 1)[1])()


def verify(PublicKey, Message, Signature, SigningAlgorithm, MessageType="RAW"):
    """Verifies a signature with a public key as GetPublicKey gives it."""
    key = serialization.load_der_public_key(PublicKey)
    if SigningAlgorithm.startswith("ED25519") or SigningAlgorithm.startswith("ML_DSA"):
        key.verify(Signature, Message)
        return {}
    digest = sha(SigningAlgorithm)
    how = utils.Prehashed(digest) if MessageType == "DIGEST" else digest
    if SigningAlgorithm.startswith("ECDSA"):
        key.verify(Signature, Message, ec.ECDSA(how))
    elif "PSS" in SigningAlgorithm:
        key.verify(Signature, Message, padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH), how)
    else:
        key.verify(Signature, Message, padding.PKCS1v15(), how)
    return {}


def sign(PrivateKeyPlaintext, Message, SigningAlgorithm):
    """Signs with a private key as GenerateDataKeyPair gives it."""
    key = serialization.load_der_private_key(PrivateKeyPlaintext, None)
    if SigningAlgorithm.startswith("ED25519"):
        return {"Signature": key.sign(Message)}
    digest = sha(SigningAlgorithm)
    if SigningAlgorithm.startswith("ECDSA"):
        return {"Signature": key.sign(Message, ec.ECDSA(digest))}
    return {"Signature": key.sign(Message, padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH), digest)}


def oaep(algorithm):
    digest = sha(algorithm)
    return padding.OAEP(padding.MGF1(digest), digest, None)


def encrypt(PublicKey, Plaintext, EncryptionAlgorithm):
    """Encrypts with a public key as GetPublicKey gives it."""
    key = serialization.load_der_public_key(PublicKey)
    return {"CiphertextBlob": key.encrypt(Plaintext, oaep(EncryptionAlgorithm))}


def digest(Message, Algorithm):
    return {"Digest": hashlib.new(Algorithm, Message).digest()}


def mac(Key, Message, MacAlgorithm):
    """An HMAC under a key that was imported."""
    it = hmac.HMAC(Key, sha(MacAlgorithm))
    it.update(Message)
    return {"Mac": it.finalize()}


def external_mu(PublicKey, Message):
    """What ML-DSA signs in place of a message: SHAKE256 over the public key's hash, the empty context and the message."""
    raw = serialization.load_der_public_key(PublicKey).public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"Mu": hashlib.shake_256(hashlib.shake_256(raw).digest(64) + b"\x00\x00" + Message).digest(64)}


def new_key(Name, KeySpec):
    """Makes a key pair of one's own and keeps it; its public key, as DeriveSharedSecret takes it."""
    if KeySpec.startswith("RSA"):
        kept[Name] = rsa.generate_private_key(65537, int(KeySpec.rsplit("_", 1)[1]))
    else:
        kept[Name] = ec.generate_private_key(curves[KeySpec]())
    public = kept[Name].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    private = kept[Name].private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return {"PublicKey": public, "PrivateKey": private}


def agree(Name, PublicKey):
    """The other half of DeriveSharedSecret."""
    return {"SharedSecret": kept[Name].exchange(ec.ECDH(), serialization.load_der_public_key(PublicKey))}


def match(One, Other):
    """Whether a private key as GenerateDataKeyPair gives it belongs to a public key."""
    public = serialization.load_der_private_key(One, None).public_key()
    assert public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == Other
    return {}


def wrap(PublicKey, Material, WrappingAlgorithm):
    """Wraps material for ImportKeyMaterial with the public key that GetParametersForImport gave."""
    key = serialization.load_der_public_key(PublicKey)
    if not WrappingAlgorithm.startswith("RSA_AES"):
        return {"EncryptedKeyMaterial": key.encrypt(Material, oaep(WrappingAlgorithm))}
    between = os.urandom(32)
    return {
        "EncryptedKeyMaterial": key.encrypt(between, oaep(WrappingAlgorithm))
        + keywrap.aes_key_wrap_with_padding(between, Material)
    }


def random(NumberOfBytes):
    return {"Plaintext": os.urandom(NumberOfBytes)}


def days_ahead(Days):
    return {"Date": (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=Days)).isoformat()}
