//! The operations, one file each, and the table that finds them by name.
//!
//! An operation gets a [`Call`], its [`Input`] and empty [`Facts`], and goes through one order: parameters → key lookup →
//! authorisation → key state → usage → data → rehearsal. It adds facts only after authorisation, it reaches key material
//! only with the token of that decision, and it cannot write: a change of state is returned, and the engine commits it
//! together with the record.

mod authorization;
mod aws_managed;
mod cancel_key_deletion;
mod conditions;
mod create_alias;
mod create_grant;
mod create_key;
mod custom_key_stores;
mod decrypt;
mod delete_alias;
mod delete_imported_key_material;
mod derive_shared_secret;
mod describe_key;
mod disable_key;
mod disable_key_rotation;
mod enable_key;
mod enable_key_rotation;
mod encrypt;
mod generate_data_key;
mod generate_data_key_pair;
mod generate_mac;
mod generate_random;
mod get_key_last_usage;
mod get_key_policy;
mod get_key_rotation_status;
mod get_parameters_for_import;
mod get_public_key;
mod import_key_material;
mod key_kind;
mod list_aliases;
mod list_grants;
mod list_key_policies;
mod list_key_rotations;
mod list_keys;
mod list_resource_tags;
mod list_retirable_grants;
mod page;
mod put_key_policy;
mod re_encrypt;
mod replicate_key;
mod retire_grant;
mod revoke_grant;
mod rotate_key_on_demand;
mod schedule_key_deletion;
mod sign;
mod tag_resource;
mod untag_resource;
mod update_alias;
mod update_key_description;
mod update_primary_region;
mod verify;
mod verify_mac;
mod workbench;

use keytrail_event::Timestamp;
use keytrail_ledger::Random;

pub(crate) use authorization::{Assumed, Subject};

use crate::error::{ErrorCode, Refusal};
use crate::facts::Facts;
use crate::iam;
use crate::input::{Input, Sent};
use crate::material_keys::MaterialKeys;
use crate::names::{KeyId, KeyReference, Place, no_such_key};
use crate::reply::Reply;
use crate::state::{Change, Key, State};
use crate::store_key::StoreKey;
use crate::uses::SharedUses;
use crate::{Caller, Config, Quotas, organizations, sts};

pub(crate) use workbench::Workbench;

/// An operation as the engine sees it.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// `readOnly` of the record: whether the API calls it a read. All cryptography is.
    pub(crate) read_only: bool,
    pub(crate) run: Run,
}

/// What an operation that changes something ends in: its answer, and the change to be committed with its record.
pub(crate) type Changed = Result<(Reply, Change), Refusal>;

/// How it runs.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// Beside others, on a state that does not change meanwhile.
    Read(fn(&Call<'_>, Input<'_>, &mut Facts) -> Result<Reply, Refusal>),
    /// Alone, because it ends in a change.
    Change(fn(&Call<'_>, Input<'_>, &mut Facts) -> Changed),
    /// Known to the API, and not here yet.
    Unsupported,
}

/// Whose operations: all are called through the same path and recorded in the same ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Keys.
    Kms,
    /// Users and their access keys.
    Iam,
    /// Who a caller is.
    Sts,
    /// Accounts.
    Organizations,
}

impl Service {
    /// `eventSource` of the record.
    pub(crate) const fn event_source(self) -> &'static str {
        match self {
            Self::Kms => "kms.amazonaws.com",
            Self::Iam => "iam.amazonaws.com",
            Self::Sts => "sts.amazonaws.com",
            Self::Organizations => "organizations.amazonaws.com",
        }
    }

    pub(crate) fn find(self, name: &str) -> Option<&'static Operation> {
        let operations = match self {
            Self::Kms => OPERATIONS,
            Self::Iam => iam::OPERATIONS,
            Self::Sts => sts::OPERATIONS,
            Self::Organizations => organizations::OPERATIONS,
        };
        operations.iter().find(|operation| operation.name == name)
    }
}

pub(crate) const fn read(
    name: &'static str,
    run: fn(&Call<'_>, Input<'_>, &mut Facts) -> Result<Reply, Refusal>,
) -> Operation {
    Operation { name, read_only: true, run: Run::Read(run) }
}

pub(crate) const fn change(
    name: &'static str,
    run: fn(&Call<'_>, Input<'_>, &mut Facts) -> Changed,
) -> Operation {
    Operation { name, read_only: false, run: Run::Change(run) }
}

/// All operations of the API (botocore 1.43: 54 of them).
const OPERATIONS: &[Operation] = &[
    change("CancelKeyDeletion", cancel_key_deletion::run),
    change("ConnectCustomKeyStore", custom_key_stores::connect),
    change("CreateAlias", create_alias::run),
    change("CreateCustomKeyStore", custom_key_stores::create),
    change("CreateGrant", create_grant::run),
    change("CreateKey", create_key::run),
    read("Decrypt", decrypt::run),
    change("DeleteAlias", delete_alias::run),
    change("DeleteCustomKeyStore", custom_key_stores::delete),
    change("DeleteImportedKeyMaterial", delete_imported_key_material::run),
    read("DeriveSharedSecret", derive_shared_secret::run),
    read("DescribeCustomKeyStores", custom_key_stores::describe),
    read("DescribeKey", describe_key::run),
    change("DisableKey", disable_key::run),
    change("DisableKeyRotation", disable_key_rotation::run),
    change("DisconnectCustomKeyStore", custom_key_stores::disconnect),
    change("EnableKey", enable_key::run),
    change("EnableKeyRotation", enable_key_rotation::run),
    read("Encrypt", encrypt::run),
    read("GenerateDataKey", generate_data_key::run),
    read("GenerateDataKeyPair", generate_data_key_pair::run),
    read("GenerateDataKeyPairWithoutPlaintext", generate_data_key_pair::run_without_plaintext),
    read("GenerateDataKeyWithoutPlaintext", generate_data_key::run_without_plaintext),
    read("GenerateMac", generate_mac::run),
    read("GenerateRandom", generate_random::run),
    read("GetKeyLastUsage", get_key_last_usage::run),
    read("GetKeyPolicy", get_key_policy::run),
    read("GetKeyRotationStatus", get_key_rotation_status::run),
    read("GetParametersForImport", get_parameters_for_import::run),
    read("GetPublicKey", get_public_key::run),
    change("ImportKeyMaterial", import_key_material::run),
    read("ListAliases", list_aliases::run),
    read("ListGrants", list_grants::run),
    read("ListKeyPolicies", list_key_policies::run),
    read("ListKeyRotations", list_key_rotations::run),
    read("ListKeys", list_keys::run),
    read("ListResourceTags", list_resource_tags::run),
    read("ListRetirableGrants", list_retirable_grants::run),
    change("PutKeyPolicy", put_key_policy::run),
    read("ReEncrypt", re_encrypt::run),
    change("ReplicateKey", replicate_key::run),
    change("RetireGrant", retire_grant::run),
    change("RevokeGrant", revoke_grant::run),
    change("RotateKeyOnDemand", rotate_key_on_demand::run),
    change("ScheduleKeyDeletion", schedule_key_deletion::run),
    read("Sign", sign::run),
    change("TagResource", tag_resource::run),
    change("UntagResource", untag_resource::run),
    change("UpdateAlias", update_alias::run),
    change("UpdateCustomKeyStore", custom_key_stores::update),
    change("UpdateKeyDescription", update_key_description::run),
    change("UpdatePrimaryRegion", update_primary_region::run),
    read("Verify", verify::run),
    read("VerifyMac", verify_mac::run),
];

/// What an operation works with: a state that stands still, who calls, and when.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a State,
    pub(crate) uses: &'a SharedUses,
    pub(crate) config: &'a Config,
    pub(crate) quotas: &'a Quotas,
    pub(crate) store_key: &'a StoreKey,
    pub(crate) material_keys: &'a MaterialKeys,
    pub(crate) random: &'a dyn Random,
    pub(crate) workbench: &'a Workbench,
    pub(crate) caller: &'a Caller,
    pub(crate) now: Timestamp,
    /// The request's members, for conditions that ask for them.
    pub(crate) sent: Sent<'a>,
}

impl Call<'_> {
    /// Where the call is made: names without an account and a Region are looked for here, and lists tell what is here.
    pub(crate) fn home(&self) -> &Place {
        self.caller.home()
    }

    /// The key that a reference names, whoever owns it: whether the caller may use it is decided next.
    pub(crate) fn find(&self, reference: &KeyReference) -> Result<&Key, Refusal> {
        let arn = reference.arn();
        if !reference.is_alias() {
            return self.state.keys.get(arn).ok_or_else(|| no_such_key(arn));
        }
        let alias = self.state.aliases.get(arn).ok_or_else(|| self.order_for_service(arn))?;
        self.state.keys.get(&alias.target).ok_or_else(|| no_such_key(alias.target.as_str()))
    }

    /// The key with this id in the Region of the call: the caller's, else the one of another account.
    pub(crate) fn find_by_id(&self, id: KeyId) -> Option<&Key> {
        let home = self.home();
        let in_place = |place: &Place| self.state.keys.get(place.key_arn_text(id).as_str());
        let others = self.state.accounts.keys().filter(|account| *account != home.account());
        in_place(home).or_else(|| {
            let mut others =
                others.map(|account| Place::new(account.clone(), home.region().clone()));
            others.find_map(|place| in_place(&place))
        })
    }
}

/// Ends a rehearsal where everything would have worked: `DryRun` is answered last.
fn end_rehearsal(dry_run: bool) -> Result<(), Refusal> {
    if dry_run {
        Err(Refusal::new(
            ErrorCode::DryRunOperationException,
            "The request would have succeeded, but the DryRun option is set.",
        ))
    } else {
        Ok(())
    }
}

/// The longest text that can name a key or policy, in characters: AWS's shapes say 2048.
const KEY_ID_CHARS: std::ops::RangeInclusive<usize> = 1..=2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_each_of_the_54_operations_once_in_order() {
        assert_eq!(OPERATIONS.len(), 54);
        assert!(OPERATIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn reads_and_cryptography_are_read_only_and_changes_are_not() {
        for Operation { name, read_only, run } in OPERATIONS {
            assert!(!(*read_only && matches!(run, Run::Change(_))), "{name}");
            let reads = [
                "Get", "List", "Describe", "Generate", "Verify", "Derive", "Sign", "Encrypt",
                "Decrypt",
            ];
            let named_a_read =
                reads.iter().any(|start| name.starts_with(start)) || *name == "ReEncrypt";
            assert_eq!(*read_only, named_a_read, "{name}");
        }
    }
}
