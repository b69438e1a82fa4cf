//! `CreateGrant`: lets a principal do some things with a key, within an encryption context if that is said.
//!
//! Who may make grants by a policy may make any. Who may by a grant (`CreateGrant` among its operations) may pass on what
//! that grant allows, under its constraint or a stricter one. A request that is repeated with the same name and the same
//! parameters gets the same grant, and a token of its own.

use std::collections::BTreeMap;

use keytrail_auth::{GrantConstraint, GrantOperation, GrantPrincipal, GrantTerms};
use keytrail_event::Json;
use serde::Deserialize;

use super::conditions::described;
use super::{Call, Changed, KEY_ID_CHARS, end_rehearsal};
use crate::environment::random_bytes;
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::grant_token;
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::parameters::check_grant_tokens_and_recipient;
use crate::reply::Reply;
use crate::state::{Change, Grant, GrantId, GrantName, Key};

/// Grants that a key may have; AWS's quota.
const GRANTS_PER_KEY_MAX: usize = 50_000;
/// Pairs of a constraint.
const PAIRS_MAX: usize = 8;
/// Characters of each key and value of a constraint.
const PAIR_CHARS_MAX: usize = 384;

struct Request {
    key: String,
    grantee: String,
    retiring: Option<String>,
    operations: Vec<GrantOperation>,
    constraint: Option<GrantConstraint>,
    name: Option<GrantName>,
    dry_run: bool,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        check_grant_tokens_and_recipient(&mut input)?;
        for member in ["GranteeServicePrincipal", "RetiringServicePrincipal"] {
            if input.has(member) {
                let text = format!("{member} is not supported: there are no AWS services here.");
                return Err(Refusal::new(ErrorCode::UnsupportedOperationException, text));
            }
        }
        let constraint = read_constraint(&mut input);
        let request = Self {
            key: input.text("KeyId", KEY_ID_CHARS),
            grantee: input.text("GranteePrincipal", 1..=256),
            retiring: input.optional_text("RetiringPrincipal", 1..=256),
            operations: read_operations(&mut input),
            constraint: None,
            name: read_name(&mut input),
            dry_run: input.flag("DryRun"),
        };
        let request = input.finish(request)?;
        Ok(Self { constraint: constraint?, ..request })
    }
}

/// The operations, each once, in the order of the request.
fn read_operations(input: &mut Input<'_>) -> Vec<GrantOperation> {
    let Some(names) = input.member::<Vec<String>>("Operations") else {
        if !input.has("Operations") {
            input.problem("Operations", "Value null", "Member must not be null");
        }
        return Vec::new();
    };
    let mut operations = Vec::new();
    for name in &names {
        match GrantOperation::parse(name) {
            Some(operation) if operations.contains(&operation) => {}
            Some(operation) => operations.push(operation),
            None => {
                let known = GrantOperation::NAMES.join(", ");
                let constraint = format!(
                    "Member must satisfy constraint: [Member must satisfy enum value set: [{known}]]"
                );
                input.problem("Operations", "Value", &constraint);
                break;
            }
        }
    }
    operations
}

fn read_name(input: &mut Input<'_>) -> Option<GrantName> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || ":/_-".contains(letter);
    let present = input.has("Name");
    present.then(|| GrantName(input.text_of("Name", 256, "^[a-zA-Z0-9:/_-]+$", allowed)))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenConstraints {
    encryption_context_equals: Option<BTreeMap<String, String>>,
    encryption_context_subset: Option<BTreeMap<String, String>>,
    source_arn: Option<String>,
}

/// The outer part notes what does not fit the shape, the result what does but cannot be.
fn read_constraint(input: &mut Input<'_>) -> Result<Option<GrantConstraint>, Refusal> {
    let Some(written) = input.member::<WrittenConstraints>("Constraints") else { return Ok(None) };
    if written.source_arn.is_some() {
        let text = "Constraints.SourceArn is not supported: there are no AWS services here.";
        return Err(Refusal::new(ErrorCode::UnsupportedOperationException, text));
    }
    let constraint = match (written.encryption_context_equals, written.encryption_context_subset) {
        (None, None) => return Ok(None),
        (Some(pairs), None) => GrantConstraint::EncryptionContextEquals(pairs),
        (None, Some(pairs)) => GrantConstraint::EncryptionContextSubset(pairs),
        (Some(_), Some(_)) => {
            return Err(Refusal::validation(
                "Specify either EncryptionContextEquals or EncryptionContextSubset, not both.",
            ));
        }
    };
    let pairs = constraint.pairs();
    if pairs.len() > PAIRS_MAX {
        let text = format!("A grant constraint can have at most {PAIRS_MAX} pairs.");
        return Err(Refusal::validation(text));
    }
    if pairs.iter().flat_map(|(k, v)| [k, v]).any(|text| text.chars().count() > PAIR_CHARS_MAX) {
        let text =
            format!("Keys and values of a grant constraint can have {PAIR_CHARS_MAX} characters.");
        return Err(Refusal::validation(text));
    }
    Ok(Some(constraint))
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Changed {
    let Request { key, grantee, retiring, operations, constraint, name, dry_run } =
        Request::read(input)?;
    let terms = GrantTerms { grantee: read_principal(&grantee)?, operations, constraint };
    let retiring = retiring.as_deref().map(read_principal).transpose()?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _granted_by = call.authorize_grant(key, &terms)?;
    facts.parameters = parameters(reference, &terms, retiring.as_ref(), name.as_ref());
    facts.resources.push(key.arn.clone().into());
    key.check_enabled()?;
    check_fits_key(key, &terms)?;
    let same = |grant: &&Grant| {
        name.is_some() && (&grant.name, &grant.terms, &grant.retiring) == (&name, &terms, &retiring)
    };
    let existing = call.state.grants.of_key(&key.arn, None).find(same).cloned();
    if existing.is_none() && call.state.grants.count(&key.arn) >= GRANTS_PER_KEY_MAX {
        let text = format!("The key {} has {GRANTS_PER_KEY_MAX} grants already.", key.arn);
        return Err(Refusal::new(ErrorCode::LimitExceededException, text));
    }
    end_rehearsal(dry_run)?;
    let grant = existing.unwrap_or_else(|| Grant {
        id: GrantId::from_bytes(random_bytes(call.random)),
        terms,
        retiring,
        name,
        issuer: call.caller.principal().account().to_string(),
        created: call.now,
    });
    let token =
        grant_token::issue((&key.arn, grant.id), &call.config.origin, call.store_key, call.random);
    facts.elements = vec![Fact::GrantId(grant.id), Fact::KeyArn(key.arn.clone())];
    let reply = Reply::object(token.len())
        .secret_text("GrantToken", &token)
        .json("GrantId", grant.id.to_string())
        .finish();
    Ok((reply, Change::GrantCreated { key: key.arn.clone(), grant: Box::new(grant) }))
}

fn parameters(
    reference: KeyReference,
    terms: &GrantTerms,
    retiring: Option<&GrantPrincipal>,
    name: Option<&GrantName>,
) -> Vec<Fact> {
    let mut facts = vec![
        Fact::KeyId(reference),
        Fact::GrantOperations(terms.operations.clone()),
        Fact::GranteePrincipal(terms.grantee.clone()),
    ];
    facts.extend(retiring.cloned().map(Fact::RetiringPrincipal));
    facts.extend(terms.constraint.clone().map(Fact::GrantConstraint));
    facts.extend(name.cloned().map(Fact::GrantName));
    facts
}

/// A principal of a grant, by ARN or account id.
pub(super) fn read_principal(text: &str) -> Result<GrantPrincipal, Refusal> {
    GrantPrincipal::parse(text).map_err(|_| {
        let text = format!("ARN does not refer to a valid principal: {text}");
        Refusal::new(ErrorCode::InvalidArnException, text)
    })
}

/// Refuses operations that a key of this kind does not have, and a constraint where there are no encryption contexts.
fn check_fits_key(key: &Key, terms: &GrantTerms) -> Result<(), Refusal> {
    let facts = key.metadata().to_record();
    let text = |member| match described(&facts, member) {
        Some(Json::Text(text)) => text.as_str(),
        _ => "",
    };
    let (spec, usage) = (text("keySpec"), text("keyUsage"));
    let symmetric = spec == "SYMMETRIC_DEFAULT";
    if let Some(operation) = terms.operations.iter().find(|it| !fits(**it, usage, symmetric)) {
        let text = format!(
            "Grant operation {operation} is not compatible with KeySpec {spec} and KeyUsage {usage}."
        );
        return Err(Refusal::validation(text));
    }
    if terms.constraint.is_some() && !symmetric {
        let text = "Grant constraints apply to symmetric encryption keys only.";
        return Err(Refusal::validation(text));
    }
    Ok(())
}

/// Whether a key of this usage has the operation
/// ([grant operations](https://docs.aws.amazon.com/kms/latest/developerguide/grants.html#terms-grant-operations)).
fn fits(operation: GrantOperation, usage: &str, symmetric: bool) -> bool {
    use GrantOperation as Op;
    match operation {
        Op::CreateGrant | Op::RetireGrant | Op::DescribeKey => true,
        Op::Encrypt | Op::Decrypt | Op::ReEncryptFrom | Op::ReEncryptTo => {
            usage == "ENCRYPT_DECRYPT"
        }
        Op::GenerateDataKey
        | Op::GenerateDataKeyWithoutPlaintext
        | Op::GenerateDataKeyPair
        | Op::GenerateDataKeyPairWithoutPlaintext => symmetric && usage == "ENCRYPT_DECRYPT",
        Op::Sign | Op::Verify => usage == "SIGN_VERIFY",
        Op::GetPublicKey => !symmetric && usage != "GENERATE_VERIFY_MAC",
        Op::GenerateMac | Op::VerifyMac => usage == "GENERATE_VERIFY_MAC",
        Op::DeriveSharedSecret => usage == "KEY_AGREEMENT",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_fits_the_keys_that_have_it() {
        for (usage, symmetric, expected) in [
            ("ENCRYPT_DECRYPT", true, 11),
            ("ENCRYPT_DECRYPT", false, 8),
            ("SIGN_VERIFY", false, 6),
            ("GENERATE_VERIFY_MAC", false, 5),
            ("KEY_AGREEMENT", false, 5),
        ] {
            let operations =
                GrantOperation::NAMES.iter().copied().filter_map(GrantOperation::parse);
            let fitting = operations.filter(|operation| fits(*operation, usage, symmetric)).count();
            assert_eq!(fitting, expected, "{usage}");
        }
    }
}
