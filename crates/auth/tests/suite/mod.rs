//! The policy suite: rows of policies, grants and a request, with the decision and what it rests on.
//!
//! The rows are data, in `cases/*.json`, and two drivers read them: `policy_suite` here asks `decide`, and the engine's tests
//! ask a real call, a rehearsal and `policy check`. `KEY_ARN` in a row stands for the key's ARN. A file:
//!
//! ```text
//! statements   by name, so that rows can be read          grants   by name
//! rows         name        what the row shows
//!              key_policy  names of statements             identity   names of statements, in one policy
//!              condition   of one more statement of the key policy, which allows alice everything …
//!              deny_if     … and of one that denies everybody everything
//!              session     names of statements of the policy that limits the session
//!              trust       names of statements of the trust policy of the role `target`, which is to be assumed
//!              grants      names of grants                 creates    name of the grant that CreateGrant is to make
//!              principal   alice, bob, root, role/ROLE/SESSION (the role may have a path: role/PATH/ROLE/SESSION),
//!                          service/NAME; in another account ACCOUNT:…  (alice)
//!              action      with its service                            (kms:Encrypt)
//!              context     condition keys, each with a value or several
//!              decision    allow or deny
//!              because     what it rests on
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// The account that owns the key.
pub(crate) const ACCOUNT: &str = "111122223333";

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cases {
    #[serde(default)]
    statements: BTreeMap<String, Value>,
    #[serde(default)]
    grants: BTreeMap<String, Grant>,
    rows: Vec<Row>,
}

/// A grant's terms, as `CreateGrant` takes them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    pub(crate) grantee: String,
    pub(crate) operations: Vec<String>,
    pub(crate) equals: Option<BTreeMap<String, String>>,
    pub(crate) subset: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default)]
    key_policy: Vec<String>,
    #[serde(default)]
    identity: Vec<String>,
    session: Option<Vec<String>>,
    trust: Option<Vec<String>>,
    condition: Option<Value>,
    deny_if: Option<Value>,
    #[serde(default)]
    grants: Vec<String>,
    creates: Option<String>,
    #[serde(default = "alice")]
    principal: String,
    #[serde(default = "encrypt")]
    action: String,
    #[serde(default)]
    context: BTreeMap<String, OneOrMany>,
    decision: Decision,
    because: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Decision {
    Allow,
    Deny,
}

/// One row, its names looked up.
pub(crate) struct Case {
    /// File and row.
    pub(crate) name: String,
    key_statements: Vec<Value>,
    identity_statements: Vec<Value>,
    session_statements: Option<Vec<Value>>,
    trust_statements: Option<Vec<Value>>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) creates: Option<Grant>,
    pub(crate) principal: String,
    pub(crate) action: String,
    pub(crate) context: Vec<(String, String)>,
    pub(crate) decision: Decision,
    pub(crate) because: String,
}

impl Case {
    /// The key policy of a key with this ARN.
    pub(crate) fn key_policy(&self, key_arn: &str) -> String {
        document(&self.key_statements, key_arn)
    }

    /// The principal's policy, if it has one.
    pub(crate) fn identity_policy(&self, key_arn: &str) -> Option<String> {
        let has_one = !self.identity_statements.is_empty();
        has_one.then(|| document(&self.identity_statements, key_arn))
    }

    /// The policy that limits the session, if there is one.
    pub(crate) fn session_policy(&self, key_arn: &str) -> Option<String> {
        self.session_statements.as_ref().map(|statements| document(statements, key_arn))
    }

    /// The trust policy of the role that is to be assumed, if the row is about that.
    pub(crate) fn trust_policy(&self) -> Option<String> {
        self.trust_statements.as_ref().map(|statements| document(statements, ""))
    }
}

/// All cases, in order of file and row.
pub(crate) fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../auth/tests/cases");
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files = files.collect::<Vec<_>>();
    files.sort();
    files.iter().flat_map(|file| read(file)).collect()
}

fn read(file: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(file).unwrap();
    let Cases { statements, grants, rows } =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let file = file.file_stem().unwrap().to_string_lossy();
    let case = |row: Row| {
        let name = format!("{file}: {}", row.name);
        let find = |wanted: &String| {
            statements.get(wanted).cloned().unwrap_or_else(|| panic!("{name}: no {wanted}"))
        };
        let find_grant = |wanted: &String| {
            grants.get(wanted).cloned().unwrap_or_else(|| panic!("{name}: no grant {wanted}"))
        };
        let mut key_statements = row.key_policy.iter().map(find).collect::<Vec<_>>();
        key_statements.extend(row.condition.map(|condition| {
            conditional("Allow", &format!("arn:aws:iam::{ACCOUNT}:user/alice"), &condition)
        }));
        key_statements.extend(row.deny_if.map(|condition| conditional("Deny", "*", &condition)));
        let values = row.context.into_iter().flat_map(|(key, values)| {
            let values = match values {
                OneOrMany::One(value) => vec![value],
                OneOrMany::Many(values) => values,
            };
            values.into_iter().map(move |value| (key.clone(), value))
        });
        Case {
            key_statements,
            identity_statements: row.identity.iter().map(find).collect(),
            session_statements: row.session.map(|names| names.iter().map(find).collect()),
            trust_statements: row.trust.map(|names| names.iter().map(find).collect()),
            grants: row.grants.iter().map(find_grant).collect(),
            creates: row.creates.as_ref().map(find_grant),
            principal: row.principal,
            action: row.action,
            context: values.collect(),
            decision: row.decision,
            because: row.because,
            name,
        }
    };
    rows.into_iter().map(case).collect()
}

fn conditional(effect: &str, principal: &str, condition: &Value) -> Value {
    serde_json::json!({"Effect": effect, "Principal": {"AWS": principal}, "Action": "kms:*", "Resource": "*",
                       "Condition": condition})
}

fn document(statements: &[Value], key_arn: &str) -> String {
    let document = serde_json::json!({"Version": "2012-10-17", "Statement": statements});
    document.to_string().replace("KEY_ARN", key_arn)
}

fn alice() -> String {
    "alice".to_owned()
}

fn encrypt() -> String {
    "kms:Encrypt".to_owned()
}
