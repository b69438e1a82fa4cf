//! Cryptography with keys of other kinds than symmetric ones, with Rust types instead of JSON; `ReEncrypt` and
//! `GenerateRandom` too. Algorithms and specs go by AWS's names: `RSASSA_PSS_SHA_256`, `ECC_NIST_P256`.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Encrypted, base64_bytes, base64_secret, named, object, typed};
use crate::algorithms::MessageType;
use crate::reply::Reply;
use crate::{Caller, Engine, KmsError};

/// What is signed. It may be as secret as a plaintext, so it has no `Debug`.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Message<'a> {
    /// 1 to 4096 bytes, hashed as the algorithm does.
    Raw(&'a [u8]),
    /// The digest of a message, with the algorithm's hash.
    Digest(&'a [u8]),
    /// The 64 bytes μ of ML-DSA (FIPS 204 §6.2).
    ExternalMu(&'a [u8]),
}

impl Message<'_> {
    fn parts(&self) -> (&'static str, &[u8]) {
        let (kind, bytes) = match self {
            Self::Raw(bytes) => (MessageType::Raw, bytes),
            Self::Digest(bytes) => (MessageType::Digest, bytes),
            Self::ExternalMu(bytes) => (MessageType::ExternalMu, bytes),
        };
        (kind.as_str(), bytes)
    }
}

/// What `GetPublicKey` answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct PublicKey {
    /// `SubjectPublicKeyInfo` in DER.
    #[serde(deserialize_with = "base64_bytes")]
    pub public_key: Vec<u8>,
    /// ARN of the key.
    pub key_id: String,
    /// `RSA_2048`, `ECC_NIST_P256`, …
    pub key_spec: String,
    /// `SIGN_VERIFY`, `ENCRYPT_DECRYPT` or `KEY_AGREEMENT`.
    pub key_usage: String,
}

/// What `GenerateDataKeyPair` answers. Holds a secret: neither shown nor copied, wiped when dropped.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct DataKeyPair {
    /// The private key in PKCS#8 DER, for use now.
    #[serde(deserialize_with = "base64_secret")]
    pub private_key_plaintext: Zeroizing<Vec<u8>>,
    /// The private key encrypted, to be kept.
    #[serde(deserialize_with = "base64_bytes")]
    pub private_key_ciphertext_blob: Vec<u8>,
    /// The public key: `SubjectPublicKeyInfo` in DER.
    #[serde(deserialize_with = "base64_bytes")]
    pub public_key: Vec<u8>,
    /// ARN of the key that encrypts it.
    pub key_id: String,
}

impl Engine {
    /// Sign.
    ///
    /// ```
    /// # use keytrail_kms::{Config, CreateKeyRequest, Engine, Environment, Message, OsRandom, RootKey};
    /// # use keytrail_ledger::Origin;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let data = tempfile::tempdir()?;
    /// # let origin = Origin::new("example.org/keytrail")?;
    /// # let config = Config { account: "111122223333".parse()?, regions: vec!["us-east-1".parse()?], origin };
    /// # let root_key = RootKey::generate(&OsRandom);
    /// # let (engine, _) = Engine::create(data.path(), config, root_key, Environment::system())?;
    /// # let root = engine.root_caller()?;
    /// let key = engine.create_key(&root, &CreateKeyRequest {
    ///     key_spec: Some("ECC_NIST_P256"),
    ///     key_usage: Some("SIGN_VERIFY"),
    ///     ..CreateKeyRequest::default()
    /// })?;
    /// let message = Message::Raw(b"release 1.0");
    /// let signature = engine.sign(&root, &key.key_id, "ECDSA_SHA_256", message)?;
    /// engine.verify(&root, &key.key_id, "ECDSA_SHA_256", message, &signature)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn sign(
        &self,
        caller: &Caller,
        key: &str,
        algorithm: &str,
        message: Message<'_>,
    ) -> Result<Vec<u8>, KmsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Signed {
            #[serde(deserialize_with = "base64_bytes")]
            signature: Vec<u8>,
        }
        let (kind, bytes) = message.parts();
        let input = Reply::object(bytes.len())
            .json("KeyId", key)
            .json("SigningAlgorithm", algorithm)
            .json("MessageType", kind)
            .blob("Message", bytes)
            .finish();
        let answer = self.call(caller, "Sign", input.as_bytes())?;
        typed(&answer).map(|Signed { signature }| signature)
    }

    /// Verify: `KMSInvalidSignatureException` if it is no signature of the message.
    pub fn verify(
        &self,
        caller: &Caller,
        key: &str,
        algorithm: &str,
        message: Message<'_>,
        signature: &[u8],
    ) -> Result<(), KmsError> {
        let (kind, bytes) = message.parts();
        let input = Reply::object(bytes.len() + signature.len())
            .json("KeyId", key)
            .json("SigningAlgorithm", algorithm)
            .json("MessageType", kind)
            .blob("Message", bytes)
            .blob("Signature", signature)
            .finish();
        self.call(caller, "Verify", input.as_bytes()).map(drop)
    }

    /// `GenerateMac` over 1 to 4096 bytes.
    pub fn generate_mac(
        &self,
        caller: &Caller,
        key: &str,
        algorithm: &str,
        message: &[u8],
    ) -> Result<Vec<u8>, KmsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Made {
            #[serde(deserialize_with = "base64_bytes")]
            mac: Vec<u8>,
        }
        let input = Reply::object(message.len())
            .json("KeyId", key)
            .json("MacAlgorithm", algorithm)
            .blob("Message", message)
            .finish();
        let answer = self.call(caller, "GenerateMac", input.as_bytes())?;
        typed(&answer).map(|Made { mac }| mac)
    }

    /// `VerifyMac`: `KMSInvalidMacException` if it is no MAC of the message.
    pub fn verify_mac(
        &self,
        caller: &Caller,
        key: &str,
        algorithm: &str,
        message: &[u8],
        mac: &[u8],
    ) -> Result<(), KmsError> {
        let input = Reply::object(message.len() + mac.len())
            .json("KeyId", key)
            .json("MacAlgorithm", algorithm)
            .blob("Message", message)
            .blob("Mac", mac)
            .finish();
        self.call(caller, "VerifyMac", input.as_bytes()).map(drop)
    }

    /// `GetPublicKey`.
    pub fn public_key(&self, caller: &Caller, key: &str) -> Result<PublicKey, KmsError> {
        typed(&self.call(caller, "GetPublicKey", named(key).to_string().as_bytes())?)
    }

    /// `DeriveSharedSecret` by ECDH with somebody's public key (`SubjectPublicKeyInfo` in DER).
    pub fn derive_shared_secret(
        &self,
        caller: &Caller,
        key: &str,
        public_key: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KmsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Derived {
            #[serde(deserialize_with = "base64_secret")]
            shared_secret: Zeroizing<Vec<u8>>,
        }
        let input = Reply::object(public_key.len())
            .json("KeyId", key)
            .json("KeyAgreementAlgorithm", "ECDH")
            .blob("PublicKey", public_key)
            .finish();
        let answer = self.call(caller, "DeriveSharedSecret", input.as_bytes())?;
        typed(&answer).map(|Derived { shared_secret }| shared_secret)
    }

    /// `GenerateDataKeyPair` of this spec.
    pub fn generate_data_key_pair(
        &self,
        caller: &Caller,
        key: &str,
        spec: &str,
        context: &[(&str, &str)],
    ) -> Result<DataKeyPair, KmsError> {
        let input = named(key).with("KeyPairSpec", spec).with("EncryptionContext", object(context));
        typed(&self.call(caller, "GenerateDataKeyPair", input.to_string().as_bytes())?)
    }

    /// `ReEncrypt` from one symmetric key and context to another.
    pub fn re_encrypt(
        &self,
        caller: &Caller,
        ciphertext: &[u8],
        context: &[(&str, &str)],
        destination: &str,
        destination_context: &[(&str, &str)],
    ) -> Result<Encrypted, KmsError> {
        let input = Reply::object(ciphertext.len())
            .blob("CiphertextBlob", ciphertext)
            .json("SourceEncryptionContext", object(context))
            .json("DestinationKeyId", destination)
            .json("DestinationEncryptionContext", object(destination_context))
            .finish();
        typed(&self.call(caller, "ReEncrypt", input.as_bytes())?)
    }

    /// `GenerateRandom`: 1 to 1024 bytes.
    pub fn generate_random(
        &self,
        caller: &Caller,
        bytes: u32,
    ) -> Result<Zeroizing<Vec<u8>>, KmsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Generated {
            #[serde(deserialize_with = "base64_secret")]
            plaintext: Zeroizing<Vec<u8>>,
        }
        let input = format!(r#"{{"NumberOfBytes": {bytes}}}"#);
        let answer = self.call(caller, "GenerateRandom", input.as_bytes())?;
        typed(&answer).map(|Generated { plaintext }| plaintext)
    }
}
