//! The policy suite through the engine: each row that a real request can express is asked of `policy check`, of a rehearsal
//! and of a real call, and none of them differs from the row.
//!
//! What a request cannot express is left to the suite's own driver: callers of other accounts and services, sessions, tags of
//! callers.

use keytrail_event::{Timestamp, TlsDetails};
use keytrail_kms::{Caller, ErrorCode, KmsError, PolicyQuestion, Source};
use serde_json::{Map, Value, json};

use crate::suite::{ACCOUNT, Case, Decision, Grant, cases};
use crate::support::{Bench, HELLO, arn};

#[test]
fn no_row_differs_between_policy_check_a_rehearsal_and_a_real_call() {
    let (mut asked, mut rehearsed) = (0, 0);
    for case in cases() {
        let Some(request) = Request::of(&case) else { continue };
        let scene = Scene::new(&case, request);
        asked += 1;
        scene.check(&scene.explain(), "policy check");
        if let Some(answer) = scene.rehearse() {
            rehearsed += 1;
            scene.check_call(answer, "rehearsal");
        }
        scene.check_call(scene.call(&scene.request.input), "call");
    }
    assert!(asked >= 300, "{asked} rows were asked");
    assert!(rehearsed >= 250, "{rehearsed} rows were rehearsed");
}

/// What a row's context is in a real request.
#[derive(Default)]
struct Request {
    input: Map<String, Value>,
    encryption_context: Map<String, Value>,
    time: Option<Timestamp>,
    source: Option<String>,
    user_agent: Option<String>,
    tls: bool,
    tags: Vec<Value>,
    alias: Option<String>,
    more_aliases: Vec<String>,
}

impl Request {
    /// `None` if no request says this.
    fn of(case: &Case) -> Option<Self> {
        let mut request = Self::default();
        for (key, value) in &case.context {
            request.add(case, key, value)?;
        }
        let is_user = !case.principal.contains([':', '/']) && case.session_policy("").is_none();
        (is_user && case.trust_policy().is_none()).then_some(request)
    }

    fn add(&mut self, case: &Case, key: &str, value: &str) -> Option<()> {
        let text = || value.to_owned();
        match key.split_once(':')? {
            ("kms", "EncryptionAlgorithm" | "KeySpec") if value == "SYMMETRIC_DEFAULT" => {}
            ("kms", "KeyUsage") if value == "ENCRYPT_DECRYPT" => {}
            ("kms", "KeyOrigin") if value == "AWS_KMS" => {}
            ("kms", "GrantOperations") => {
                let creates = case.creates.as_ref()?;
                creates.operations.iter().find(|operation| *operation == value)?;
            }
            ("kms", "RequestAlias") => self.alias = Some(text()),
            ("kms", "ResourceAliases") => self.more_aliases.push(text()),
            ("kms", "ScheduleKeyDeletionPendingWindowInDays") => {
                let days: u32 = value.parse().ok()?;
                self.input.insert("PendingWindowInDays".to_owned(), json!(days));
            }
            ("aws", "CurrentTime") => self.time = Some(Timestamp::parse_event_time(value).ok()?),
            ("aws", "EpochTime") => {
                self.time = Some(Timestamp::from_unix_seconds(value.parse().ok()?));
            }
            ("aws", "SourceIp") => self.source = Some(text()),
            ("aws", "UserAgent") => self.user_agent = Some(text()),
            ("aws", "SecureTransport") => self.tls = value == "true",
            _ => {
                let pair = key.strip_prefix("kms:EncryptionContext:");
                let tag = key.strip_prefix("aws:ResourceTag/");
                match (pair, tag) {
                    (Some(pair), _) => {
                        drop(self.encryption_context.insert(pair.to_owned(), json!(value)));
                    }
                    (_, Some(tag)) => self.tags.push(json!({"TagKey": tag, "TagValue": value})),
                    _ => return None,
                }
            }
        }
        Some(())
    }
}

/// An engine in which a row is true: the key with its policy, tags, aliases and grants, and the caller.
struct Scene<'a> {
    case: &'a Case,
    request: Request,
    bench: Bench,
    caller: Caller,
    /// The key as the request names it.
    key: String,
    grants: Vec<String>,
}

impl<'a> Scene<'a> {
    fn new(case: &'a Case, mut request: Request) -> Self {
        let bench = Bench::new();
        let call = |operation: &str, input: &Value| {
            let answer = bench.call(operation, &input.to_string());
            answer.unwrap_or_else(|error| panic!("{}: {operation}: {error}", case.name))
        };
        let tags = request.tags.clone();
        let created =
            call("CreateKey", &if tags.is_empty() { json!({}) } else { json!({"Tags": tags}) });
        let id = created["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
        for alias in request.alias.iter().chain(&request.more_aliases) {
            call("CreateAlias", &json!({"AliasName": alias, "TargetKeyId": id}));
        }
        let grants = case.grants.iter().map(|grant| {
            let mut input = grant_input(grant);
            input.insert("KeyId".to_owned(), json!(id));
            let made = call("CreateGrant", &Value::Object(input));
            made["GrantId"].as_str().unwrap().to_owned()
        });
        let grants = grants.collect();
        let context = &request.encryption_context;
        let encrypt = json!({"KeyId": id, "Plaintext": HELLO, "EncryptionContext": context});
        let blob = call("Encrypt", &encrypt)["CiphertextBlob"].clone();
        let key = request.alias.clone().unwrap_or_else(|| id.clone());
        let own = std::mem::take(&mut request.input);
        request.input = input(case, &key, &blob, context);
        request.input.extend(own);
        let policy = case.key_policy(&arn(&id));
        call(
            "PutKeyPolicy",
            &json!({"KeyId": id, "Policy": policy, "BypassPolicyLockoutSafetyCheck": true}),
        );
        let caller = caller(&bench, case, &request, &arn(&id));
        if let Some(time) = request.time {
            bench.set_time(time.unix_nanos());
        }
        Self { case, request, bench, caller, key, grants }
    }

    /// What `policy check` says: the decision, and what it rests on in the suite's words.
    fn explain(&self) -> (Decision, String) {
        let mut context = self.case.context.clone();
        if let Some(grant) = &self.case.creates {
            let kinds = [("Equals", &grant.equals), ("Subset", &grant.subset)];
            for (kind, pairs) in kinds {
                let Some(pairs) = pairs else { continue };
                context.push((
                    "kms:GrantConstraintType".to_owned(),
                    format!("EncryptionContext{kind}"),
                ));
                let pair = |(key, value): (&String, &String)| {
                    (format!("kms:EncryptionContext:{key}"), value.clone())
                };
                context.extend(pairs.iter().map(pair));
            }
            context.retain(|(key, _)| key != "kms:GrantOperations");
            let operation = |name: &String| ("kms:GrantOperations".to_owned(), name.clone());
            context.extend(grant.operations.iter().map(operation));
        }
        let pairs = context.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let question = PolicyQuestion {
            caller: &self.caller,
            action: &self.case.action,
            key: (!has_no_key(&self.case.action)).then_some(self.key.as_str()),
            context: &pairs.collect::<Vec<_>>(),
        };
        let answer = self.bench.engine().check_policy(&question).unwrap();
        let decision = if answer.is_allowed() { Decision::Allow } else { Decision::Deny };
        let because = match (answer.decided_by, answer.denied) {
            (Some(place), _) => self.words(&place),
            (None, Some(denied)) if denied.to_string().contains("no identity-based") => {
                "no identity policy".to_owned()
            }
            (None, _) => "no key policy".to_owned(),
        };
        (decision, because)
    }

    fn words(&self, place: &Source) -> String {
        match place {
            Source::KeyPolicy { statement, .. } => format!("key policy {statement}"),
            Source::IdentityPolicy { statement, policy, .. } => {
                assert_eq!(policy, "p");
                format!("identity policy {statement}")
            }
            Source::Grant { id } => {
                let position = self.grants.iter().position(|made| made == id).unwrap();
                format!("grant {}", position + 1)
            }
            _ => "root".to_owned(),
        }
    }

    fn call(&self, input: &Map<String, Value>) -> Result<Value, KmsError> {
        let operation = self.case.action.strip_prefix("kms:").unwrap();
        self.bench.call_as(&self.caller, operation, &Value::Object(input.clone()).to_string())
    }

    /// The same call with `DryRun`, if the operation has it.
    fn rehearse(&self) -> Option<Result<Value, KmsError>> {
        let has_it = ["Encrypt", "Decrypt", "GenerateDataKey", "CreateGrant"]
            .iter()
            .any(|operation| self.case.action == format!("kms:{operation}"));
        let mut input = self.request.input.clone();
        input.insert("DryRun".to_owned(), json!(true));
        has_it.then(|| match self.call(&input) {
            Err(error) if error.code() == ErrorCode::DryRunOperationException => Ok(Value::Null),
            Ok(answer) => panic!("{}: a rehearsal did {answer}", self.case.name),
            refused => refused,
        })
    }

    #[track_caller]
    fn check(&self, answer: &(Decision, String), by: &str) {
        let Case { name, decision, because, .. } = self.case;
        assert_eq!((&answer.0, &answer.1), (decision, because), "{name}, by {by}");
    }

    /// A call tells the reason by its text only, which has four forms.
    #[track_caller]
    fn check_call(&self, answer: Result<Value, KmsError>, by: &str) {
        let Case { name, decision, because, .. } = self.case;
        let text = match answer {
            Ok(_) => return assert_eq!(*decision, Decision::Allow, "{name}, by {by}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(*decision, Decision::Deny, "{name}, by {by}: {text}");
        let clause = match because.as_str() {
            "no identity policy" => "because no identity-based policy allows",
            "no key policy" => "because no resource-based policy allows",
            denied if denied.starts_with("key") => {
                "with an explicit deny in a resource-based policy"
            }
            _ => "with an explicit deny in an identity-based policy",
        };
        assert!(
            text.starts_with("AccessDeniedException") && text.contains(clause),
            "{name}: {text}"
        );
    }
}

/// The request of an action.
fn input(case: &Case, key: &str, blob: &Value, context: &Map<String, Value>) -> Map<String, Value> {
    let input = match case.action.as_str() {
        "kms:Encrypt" => json!({"KeyId": key, "Plaintext": HELLO, "EncryptionContext": context}),
        "kms:Decrypt" => json!({"CiphertextBlob": blob, "EncryptionContext": context}),
        "kms:GenerateDataKey" | "kms:GenerateDataKeyWithoutPlaintext" => {
            json!({"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context})
        }
        "kms:CreateGrant" => {
            let mut input = grant_input(case.creates.as_ref().unwrap());
            input.insert("KeyId".to_owned(), json!(key));
            Value::Object(input)
        }
        "kms:ListKeys" | "kms:CreateKey" => json!({}),
        _ => json!({"KeyId": key}),
    };
    input.as_object().unwrap().clone()
}

fn grant_input(grant: &Grant) -> Map<String, Value> {
    let mut input = json!({"GranteePrincipal": grant.grantee, "Operations": grant.operations});
    if let Some(pairs) = &grant.equals {
        input["Constraints"] = json!({"EncryptionContextEquals": pairs});
    }
    if let Some(pairs) = &grant.subset {
        input["Constraints"] = json!({"EncryptionContextSubset": pairs});
    }
    input.as_object().unwrap().clone()
}

/// The row's principal, where the row says it calls from.
fn caller(bench: &Bench, case: &Case, request: &Request, key_arn: &str) -> Caller {
    let mut caller = match case.principal.as_str() {
        "root" => bench.root(),
        name => {
            let policy = case.identity_policy(key_arn);
            let policies = policy.as_deref().map(|policy| ("p", policy));
            let policies = policies.into_iter().collect::<Vec<_>>();
            let access_key = bench.engine().create_user(&bench.root(), name, &policies).unwrap();
            bench.engine().caller_for_access_key(access_key.id.as_str()).unwrap()
        }
    };
    assert_eq!(caller.principal().account().as_str(), ACCOUNT);
    if let Some(source) = &request.source {
        caller = caller.from_source(source);
    }
    if let Some(agent) = &request.user_agent {
        caller = caller.with_user_agent(agent);
    }
    if request.tls {
        caller = caller.with_tls(TlsDetails {
            tls_version: "TLSv1.3".to_owned(),
            cipher_suite: "TLS_AES_256_GCM_SHA384".to_owned(),
            client_provided_host_header: "kms.us-east-1.amazonaws.com".to_owned(),
            key_exchange: None,
        });
    }
    caller
}

fn has_no_key(action: &str) -> bool {
    ["kms:ListKeys", "kms:CreateKey"].contains(&action)
}
