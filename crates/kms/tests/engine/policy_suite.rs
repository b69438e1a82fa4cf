//! The policy suite through the engine: each row that a real request can express is asked of `policy check`, of a rehearsal
//! and of a real call, and none of them differs from the row.
//!
//! A row whose context no request can have is left to the suite's own driver.

use keytrail_auth::Reason;
use keytrail_event::{Timestamp, TlsDetails};
use keytrail_kms::{
    AssumeRoleRequest, Caller, CreateRoleRequest, ErrorCode, KmsError, PolicyQuestion, Source,
};
use serde_json::{Map, Value, json};

use crate::suite::{ACCOUNT, Case, Decision, Grant, cases};
use crate::support::{Bench, HELLO, arn};

/// The role that rows about trust policies want to assume.
const TARGET: &str = "arn:aws:iam::111122223333:role/target";

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
    assert!(asked >= 470, "{asked} rows were asked");
    assert!(rehearsed >= 355, "{rehearsed} rows were rehearsed");
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
    principal_tags: Vec<(String, String)>,
    source_identity: Option<String>,
    /// When the caller's session was issued.
    issued: Option<Timestamp>,
    session_tags: Vec<Value>,
}

impl Request {
    /// `None` if no request says this.
    fn of(case: &Case) -> Option<Self> {
        let mut request = Self::default();
        for (key, value) in &case.context {
            request.add(case, key, value)?;
        }
        if case.trust_policy().is_some() {
            request.assumption(&case.action);
        }
        Some(request)
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
                if let Some(pair) = key.strip_prefix("kms:EncryptionContext:") {
                    self.encryption_context.insert(pair.to_owned(), json!(value));
                } else if let Some(tag) = key.strip_prefix("aws:ResourceTag/") {
                    self.tags.push(json!({"TagKey": tag, "TagValue": value}));
                } else {
                    self.add_identity(key, value)?;
                }
            }
        }
        Some(())
    }

    /// What a context says about the caller, or about the session that it asks for.
    fn add_identity(&mut self, key: &str, value: &str) -> Option<()> {
        match key.split_once(':')? {
            ("aws", "SourceIdentity") => self.source_identity = Some(value.to_owned()),
            ("aws", "TokenIssueTime") => {
                self.issued = Some(Timestamp::parse_event_time(value).ok()?);
            }
            ("aws", "TagKeys") => {
                let there = self.session_tags.iter().any(|tag| tag["Key"] == value);
                if !there {
                    self.session_tags.push(json!({"Key": value, "Value": "v"}));
                }
            }
            ("sts", "ExternalId" | "RoleSessionName" | "SourceIdentity") => {
                drop(self.input.insert(key[4..].to_owned(), json!(value)));
            }
            ("sts", "TransitiveTagKeys") => {
                let keys = self.input.entry("TransitiveTagKeys").or_insert_with(|| json!([]));
                keys.as_array_mut()?.push(json!(value));
            }
            _ => {
                let own = key.strip_prefix("aws:PrincipalTag/");
                let asked = key.strip_prefix("aws:RequestTag/");
                match (own, asked) {
                    (Some(tag), _) => self.principal_tags.push((tag.to_owned(), value.to_owned())),
                    (_, Some(tag)) => self.session_tags.push(json!({"Key": tag, "Value": value})),
                    _ => return None,
                }
            }
        }
        Some(())
    }

    /// The input of an `AssumeRole` in which this action plays a part.
    fn assumption(&mut self, action: &str) {
        let own = std::mem::take(&mut self.input);
        let asked = std::mem::take(&mut self.session_tags);
        let mut input = json!({"RoleArn": TARGET, "RoleSessionName": "session"});
        if action == "sts:TagSession" || !asked.is_empty() {
            let any = vec![json!({"Key": "any", "Value": "v"})];
            input["Tags"] = json!(if asked.is_empty() { any } else { asked });
        }
        if action == "sts:SetSourceIdentity" {
            input["SourceIdentity"] = json!("ada");
        }
        self.input.extend(input.as_object().unwrap().clone());
        self.input.extend(own);
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
        let mut key = request.alias.clone().unwrap_or_else(|| id.clone());
        if case.principal.contains(':') {
            // From another account, by its whole name.
            key = request
                .alias
                .as_ref()
                .map_or_else(|| arn(&id), |alias| arn(&id).replace(&format!("key/{id}"), alias));
        }
        if let Some(trust_policy) = case.trust_policy() {
            let target = CreateRoleRequest { trust_policy: &trust_policy, ..Default::default() };
            bench.engine().create_role(&bench.root(), "target", &target).unwrap();
        } else {
            let own = std::mem::take(&mut request.input);
            request.input = input(case, &key, &blob, context);
            request.input.extend(own);
        }
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
            key: if self.case.trust_policy().is_some() {
                Some(TARGET)
            } else {
                (!has_no_key(&self.case.action)).then_some(self.key.as_str())
            },
            context: &pairs.collect::<Vec<_>>(),
        };
        let answer = self.bench.engine().check_policy(&question).unwrap();
        let decision = if answer.is_allowed() { Decision::Allow } else { Decision::Deny };
        let because = match (answer.decided_by, answer.denied) {
            (Some(place), _) => self.words(&place),
            (None, Some(denied)) => match denied.reason() {
                Reason::NoIdentityPolicy => "no identity policy".to_owned(),
                Reason::NoSessionPolicy => "no session policy".to_owned(),
                Reason::NoTrustPolicy => "no trust policy".to_owned(),
                _ => "no key policy".to_owned(),
            },
            (None, None) => panic!("{}: allowed by nothing", self.case.name),
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
            Source::SessionPolicy { statement, .. } => format!("session policy {statement}"),
            Source::TrustPolicy { statement, .. } => format!("trust policy {statement}"),
            Source::Grant { id } => {
                let position = self.grants.iter().position(|made| made == id).unwrap();
                format!("grant {}", position + 1)
            }
            _ => "root".to_owned(),
        }
    }

    fn call(&self, input: &Map<String, Value>) -> Result<Value, KmsError> {
        let Some(operation) = self.case.action.strip_prefix("kms:") else {
            let input = Value::Object(input.clone()).to_string();
            let answer = self.bench.engine().call_sts(&self.caller, "AssumeRole", input.as_bytes());
            return answer.map(|answer| crate::support::value(&answer));
        };
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
            "no identity policy" if self.case.trust_policy().is_none() => {
                "because no identity-based policy allows"
            }
            "no key policy" => "because no resource-based policy allows",
            "no session policy" if self.case.trust_policy().is_none() => {
                "because no session policy allows"
            }
            denied if denied.starts_with("session") => "with an explicit deny in a session policy",
            // STS tells no reason.
            _ if self.case.trust_policy().is_some() => "is not authorized to perform: sts:",
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
        "kms:PutKeyPolicy" => json!({"KeyId": key, "Policy": case.key_policy("*")}),
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

/// A user of that name with the row's policies and tags.
fn user(
    (bench, root): (&Bench, &Caller),
    case: &Case,
    request: &Request,
    name: &str,
    key_arn: &str,
) -> Caller {
    let policy = case.identity_policy(key_arn);
    let policies = policy.as_deref().map(|policy| ("p", policy));
    let policies = policies.into_iter().collect::<Vec<_>>();
    let engine = bench.engine();
    let access_key = engine.create_user(root, name, &policies).unwrap();
    if !request.principal_tags.is_empty() {
        engine.tag_user(root, name, &pairs(&request.principal_tags)).unwrap();
    }
    engine.caller_for_access_key(access_key.id.as_str()).unwrap()
}

/// A session of a role with the row's policies and tags, `/PATH/ROLE/SESSION`.
fn session(
    (bench, root): (&Bench, &Caller),
    case: &Case,
    request: &Request,
    name: &str,
    key_arn: &str,
) -> Caller {
    let (role, session_name) = name.rsplit_once('/').unwrap();
    let (path, role) = role.split_at(role.rfind('/').unwrap() + 1);
    let policy = case.identity_policy(key_arn);
    let policies = policy.as_deref().map(|policy| ("p", policy));
    let policies = policies.into_iter().collect::<Vec<_>>();
    let engine = bench.engine();
    let open = r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:*"}}"#;
    let made = CreateRoleRequest {
        path: Some(path),
        trust_policy: open,
        policies: &policies,
        tags: &pairs(&request.principal_tags),
        ..CreateRoleRequest::default()
    };
    let role_arn = engine.create_role(root, role, &made).unwrap();
    if let Some(issued) = request.issued {
        bench.set_time(issued.unix_nanos());
    }
    let maker = engine.create_user(root, "maker", &[]).unwrap();
    let maker = engine.caller_for_access_key(maker.id.as_str()).unwrap();
    let session_policy = case.session_policy(key_arn);
    let asked = AssumeRoleRequest {
        role_arn: &role_arn,
        session_name,
        policy: session_policy.as_deref(),
        source_identity: request.source_identity.as_deref(),
        ..AssumeRoleRequest::default()
    };
    let credentials = engine.assume_role(&maker, &asked);
    let credentials = credentials.unwrap_or_else(|error| panic!("{}: {error}", case.name));
    engine.caller_for_session(&credentials).unwrap()
}

fn pairs(tags: &[(String, String)]) -> Vec<(&str, &str)> {
    tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// The row's principal, where the row says it calls from.
fn caller(bench: &Bench, case: &Case, request: &Request, key_arn: &str) -> Caller {
    let engine = bench.engine();
    let (account, name) = case.principal.split_once(':').unwrap_or((ACCOUNT, &case.principal));
    if account != ACCOUNT {
        engine.create_account(&bench.root(), &account.parse().unwrap()).unwrap();
    }
    let root = engine.caller_named(&format!("{account}:root")).unwrap();
    let mut caller = match (name.strip_prefix("role"), name.strip_prefix("service/")) {
        (Some(name), _) => session((bench, &root), case, request, name, key_arn),
        (None, Some(service)) => {
            let key = engine.create_service_access_key(&root, service).unwrap();
            engine.caller_for_access_key(key.id.as_str()).unwrap()
        }
        (None, None) if name == "root" => root,
        (None, None) => user((bench, &root), case, request, name, key_arn),
    };
    assert_eq!(caller.principal().account().as_str(), account);
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
