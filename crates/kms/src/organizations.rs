//! Further accounts: the two operations of Organizations that make and list them.
//!
//! The first account, which the data directory was made for, is the management account; only its principals make accounts. A
//! new account has a root user with an access key, which the answer shows once, and nothing else: whatever it is to do with
//! keys of other accounts is up to key policies and grants there.
//!
//! With AWS the number is drawn and the account made some minutes later. Here the caller says the number, because key policies
//! and tests name it, and the account is there at once. Records are in us-east-1, as those of all global services.

use keytrail_event::AccountId;

use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::iam;
use crate::input::Input;
use crate::ops::{Call, Changed, Operation, Run};
use crate::reply::Reply;
use crate::state::{AccessKeyEntry, Change, IdentityChange, Owner};

/// The operations, by name.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation { name: "CreateAccount", read_only: false, run: Run::Change(create_account) },
    Operation { name: "ListAccounts", read_only: true, run: Run::Read(list_accounts) },
];

/// Accounts that there may be: a ciphertext that names no account is looked for in each of them.
const ACCOUNTS_MAX: usize = 1000;

fn create_account(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let digit = |letter: char| letter.is_ascii_digit();
    let account = input.text_of("AccountId", 12, r"^\d{12}$", digit);
    let account = input.finish(account)?;
    let account =
        AccountId::parse(&account).map_err(|error| Refusal::validation(error.to_string()))?;
    authorize(call, "organizations:CreateAccount")?;
    facts.parameters.push(Fact::AccountId(account.clone()));
    if call.state.accounts.contains_key(&account) {
        let text = format!("The account {account} is there already.");
        return Err(Refusal::new(ErrorCode::DuplicateAccountException, text));
    }
    if call.state.accounts.len() >= ACCOUNTS_MAX {
        let text = format!("There are {ACCOUNTS_MAX} accounts already.");
        return Err(Refusal::new(ErrorCode::LimitExceededException, text));
    }
    let access_key = iam::generate(call.random);
    let (id, created) = (access_key.id.clone(), call.now);
    facts.elements.push(Fact::AccountCreated(account.clone()));
    facts.elements.push(Fact::RootAccessKey { id: id.clone(), created });
    let status = Reply::object(0).json("State", "SUCCEEDED").json("AccountId", account.as_str());
    let described = Reply::object(128)
        .json("AccessKeyId", id.as_str())
        .json("Status", "Active")
        .secret_text("SecretAccessKey", access_key.secret.expose())
        .time("CreateDate", created);
    let reply = Reply::object(512)
        .nested("CreateAccountStatus", status)
        .nested("AccessKey", described)
        .finish();
    let sealed_secret = iam::seal_secret(&id, &access_key.secret, call.store_key, call.random);
    let entry = AccessKeyEntry { owner: Owner::Root(account.clone()), created, sealed_secret };
    let change = IdentityChange::AccountCreated { account, root_access_key: id, entry };
    Ok((reply, Change::Identity(change)))
}

fn list_accounts(call: &Call<'_>, input: Input<'_>, _: &mut Facts) -> Result<Reply, Refusal> {
    input.finish(())?;
    authorize(call, "organizations:ListAccounts")?;
    let accounts = call.state.accounts.keys();
    let accounts = accounts
        .map(|account| Reply::object(0).json("Id", account.as_str()).json("Status", "ACTIVE"));
    Ok(Reply::object(4096).list("Accounts", accounts).finish())
}

/// Only in the management account there is somebody who may.
fn authorize(call: &Call<'_>, action: &str) -> Result<(), Refusal> {
    if call.caller.account() != &call.config.account {
        let text = "You don't have permissions to access this resource.";
        return Err(Refusal::new(ErrorCode::AccessDeniedException, text));
    }
    call.authorize_identity(action, "*").map(drop)
}
