//! Parameters with a type of their own: read once, then known to be well.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorCode, Refusal};
use crate::input::Input;
use crate::material::MaterialId;

/// The longest description of a key, in characters.
const DESCRIPTION_CHARS_MAX: usize = 8192;

/// Grant tokens that a call may bring along.
const GRANT_TOKENS_MAX: usize = 10;
/// The longest grant token; ours have about 200 characters.
pub(crate) const GRANT_TOKEN_CHARS_MAX: usize = 8192;

/// A key's description.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Description(String);

impl Description {
    pub(crate) fn read(input: &mut Input<'_>) -> Self {
        Self(input.optional_text("Description", 0..=DESCRIPTION_CHARS_MAX).unwrap_or_default())
    }

    pub(crate) fn read_required(input: &mut Input<'_>) -> Self {
        Self(input.text("Description", 0..=DESCRIPTION_CHARS_MAX))
    }

    /// The description of an AWS managed key.
    pub(crate) const fn of_aws(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The size of a data key by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataKeySpec {
    Aes128,
    Aes256,
}

impl DataKeySpec {
    pub(crate) fn read(input: &mut Input<'_>) -> Option<Self> {
        input.choice("KeySpec", &["AES_256", "AES_128"]).map(|name| match name {
            "AES_128" => Self::Aes128,
            _ => Self::Aes256,
        })
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Aes128 => "AES_128",
            Self::Aes256 => "AES_256",
        }
    }

    pub(crate) const fn bytes(self) -> u32 {
        match self {
            Self::Aes128 => 16,
            Self::Aes256 => 32,
        }
    }
}

/// What somebody wrote on imported material: at most 256 letters, digits, spaces and `:/_.-`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct MaterialDescription(String);

impl MaterialDescription {
    pub(crate) fn read(input: &mut Input<'_>) -> Option<Self> {
        const PATTERN: &str = r"^[a-zA-Z0-9:/_\s.-]+$";
        let text = input.optional_text("KeyMaterialDescription", 0..=256)?;
        let allowed = |letter: char| {
            letter.is_ascii_alphanumeric()
                || letter.is_ascii_whitespace()
                || ":/_.-".contains(letter)
        };
        if !text.chars().all(allowed) {
            let constraint = format!("Member must satisfy regular expression pattern: {PATTERN}");
            input.problem("KeyMaterialDescription", "Value", &constraint);
        }
        Some(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads which material of a key is meant.
pub(crate) fn read_material_id(input: &mut Input<'_>) -> Option<MaterialId> {
    let text = input.optional_text("KeyMaterialId", 64..=64)?;
    let id = MaterialId::try_from(text.clone()).ok();
    if id.is_none() && text.len() == 64 {
        let constraint = "Member must satisfy regular expression pattern: ^[a-f0-9]+$";
        input.problem("KeyMaterialId", "Value", constraint);
    }
    id
}

/// What `ListKeyRotations` lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IncludeKeyMaterial {
    All,
    RotationsOnly,
}

impl IncludeKeyMaterial {
    pub(crate) fn read(input: &mut Input<'_>) -> Option<Self> {
        let name = input.choice("IncludeKeyMaterial", &["ALL_KEY_MATERIAL", "ROTATIONS_ONLY"]);
        name.map(|name| if name == "ALL_KEY_MATERIAL" { Self::All } else { Self::RotationsOnly })
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::All => "ALL_KEY_MATERIAL",
            Self::RotationsOnly => "ROTATIONS_ONLY",
        }
    }
}

/// Where a list goes on: the name of the last item shown, made opaque so that nobody builds one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    sent: String,
    after: String,
}

impl Marker {
    pub(crate) fn after(name: &str) -> Self {
        Self { sent: URL_SAFE_NO_PAD.encode(format!("after:{name}")), after: name.to_owned() }
    }

    pub(crate) fn read(input: &mut Input<'_>) -> Result<Option<Self>, Refusal> {
        const CHARS: RangeInclusive<usize> = 1..=1024;
        let sent = input.optional_text("Marker", CHARS);
        // One of another length is noted already, and refused for that.
        let Some(sent) = sent.filter(|sent| CHARS.contains(&sent.chars().count())) else {
            return Ok(None);
        };
        let decoded = URL_SAFE_NO_PAD.decode(&sent).ok();
        let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        match text.as_deref().and_then(|text| text.strip_prefix("after:")) {
            Some(after) => Ok(Some(Self { after: after.to_owned(), sent })),
            None => Err(Refusal::new(ErrorCode::InvalidMarkerException, "Invalid marker")),
        }
    }

    /// The name that the list goes on behind.
    pub(crate) fn name(&self) -> &str {
        &self.after
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.sent
    }
}

/// What a role's owner and whoever may assume it agreed on: 2 to 1224 characters. No secret: AWS records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExternalId(String);

impl ExternalId {
    pub(crate) fn read(input: &mut Input<'_>) -> Option<Self> {
        const NAME: &str = "ExternalId";
        let text = input.optional_text(NAME, 2..=1224)?;
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_+=,.@:/-".contains(letter);
        if !text.chars().all(allowed) {
            let pattern = r"Member must satisfy regular expression pattern: [\w+=,.@:\/-]*";
            input.problem(NAME, "Value", pattern);
        }
        Some(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a user's or role's policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct PolicyName(String);

impl PolicyName {
    pub(crate) fn read(input: &mut Input<'_>) -> Self {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter);
        Self(input.text_of("PolicyName", 128, r"[\w+=,.@-]+", allowed))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks the shape of grant tokens, and refuses attestation. Whether the tokens are ours is looked at when the call is
/// authorised ([`Call::authorize`](crate::ops::Call::authorize)). They are never shown: who has one may retire its grant.
pub(crate) fn check_grant_tokens_and_recipient(input: &mut Input<'_>) -> Result<(), Refusal> {
    let tokens = input.member::<Vec<String>>("GrantTokens").unwrap_or_default();
    if tokens.len() > GRANT_TOKENS_MAX {
        let text = format!("Member must have length less than or equal to {GRANT_TOKENS_MAX}");
        input.problem("GrantTokens", "Value", &text);
    }
    let fits = |token: &String| (1..=GRANT_TOKEN_CHARS_MAX).contains(&token.chars().count());
    if !tokens.iter().all(fits) {
        let text = format!(
            "Member must satisfy constraint: [Member must have length less than or equal to {GRANT_TOKEN_CHARS_MAX}, \
             Member must have length greater than or equal to 1]"
        );
        input.problem("GrantTokens", "Value", &text);
    }
    if input.has("Recipient") {
        let text = "Recipient is not supported: there are no attestation documents here.";
        return Err(Refusal::new(ErrorCode::UnsupportedOperationException, text));
    }
    Ok(())
}
