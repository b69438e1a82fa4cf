//! A session: its cases called one after the other, each compared with what it expects before the next one is called.

use std::collections::BTreeMap;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::case::{Case, Session};
use crate::clients::{self, Boto3, Setting};
use crate::endpoint::{self, Endpoint};
use crate::record::{self, Caller};
use crate::values::{Saved, difference, filled_in, member, overlaid, replaced};

/// What a client said, in either client's case.
struct Said {
    answer: Value,
    text: String,
    error: Option<String>,
    /// Only boto3 tells.
    request_id: Option<String>,
    status: Option<i64>,
    /// The errors that the API's model gives the operation.
    modelled: Vec<String>,
    exit_code: Option<i32>,
    /// The request's members with all filled in; the CLI's are not known.
    input: Value,
}

/// Runs a file of cases on an endpoint of its own, which the cases may start again.
pub(crate) fn run_alone(name: &str, text: &str) {
    let started = Instant::now();
    let session = Session::parse(text);
    let mut endpoint = Endpoint::of(&session);
    let mut running = Running::begin(&endpoint, &session);
    for part in session.cases.chunk_by(|_, next| next.serve.is_empty()) {
        if !part[0].serve.is_empty() {
            running.restart(&mut endpoint, &part[0]);
        }
        running.run_all(&endpoint, part);
    }
    running.end();
    let (count, seconds) = (session.cases.len(), started.elapsed().as_secs_f32());
    #[expect(clippy::print_stdout, reason = "shown with --nocapture, and when the test fails")]
    {
        println!("{name}: {count} cases in {seconds:.1} s");
    }
}

/// Runs a file of cases on this endpoint; what they saved.
pub(crate) fn run(endpoint: &Endpoint, text: &str) -> Saved {
    let session = Session::parse(text);
    let mut running = Running::begin(endpoint, &session);
    running.run_all(endpoint, &session.cases);
    running.end()
}

/// A session on its way.
struct Running {
    saved: Saved,
    /// Credentials that cases got: access key id, secret, token.
    sessions: BTreeMap<String, Vec<String>>,
    boto3: Option<Boto3>,
    /// Sequence of the ledger's next entry.
    seen: u64,
    /// What was wrong, with all that a reader needs to see why.
    wrong: Vec<String>,
}

impl Running {
    fn begin(endpoint: &Endpoint, session: &Session) -> Self {
        for (name, content) in &session.files {
            std::fs::write(endpoint.folder().join(name), content).unwrap();
        }
        let seen = endpoint.records_from(0).1;
        Self {
            saved: Saved::new(),
            sessions: BTreeMap::new(),
            boto3: None,
            seen,
            wrong: Vec::new(),
        }
    }

    fn run_all(&mut self, endpoint: &Endpoint, cases: &[Case]) {
        for case in cases.iter().filter(|case| case.serve.is_empty()) {
            for n in 1..=case.repeat {
                self.saved.insert("n".to_owned(), n.to_string());
                self.run(endpoint, case);
            }
        }
    }

    /// Ends well if nothing was wrong; what was saved.
    fn end(self) -> Saved {
        let Self { wrong, saved, .. } = self;
        assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
        saved
    }

    /// Starts the endpoint again with the flags of the case; it leaves the events of the case, and nothing else.
    fn restart(&mut self, endpoint: &mut Endpoint, case: &Case) {
        endpoint.stop();
        endpoint.serve(&case.serve.iter().map(String::as_str).collect::<Vec<_>>());
        let (records, seen) = endpoint.records_from(self.seen);
        self.seen = seen;
        let expected = self.overlaid(&record::event(&case.region), &case.events);
        if let Some(problem) = difference("the events", &expected, &records.into()) {
            self.wrong.push(format!("{}: {problem}", case.name));
        }
    }

    /// Makes the call and compares. What is wrong is told at the end: one mistake says less than all of them.
    fn run(&mut self, endpoint: &Endpoint, case: &Case) {
        let said = self.say(endpoint, case);
        if let Some(problem) = self.difference(case, &said) {
            let Said { answer, text, error, .. } = &said;
            self.wrong.push(format!(
                "{}: {problem}\n  answer: {answer}{text}\n  error: {error:?}",
                case.name
            ));
        }
        for (name, path) in &case.save {
            let text = member(&said.answer, path).unwrap_or("what an earlier case did not give");
            self.saved.insert(name.clone(), text.to_owned());
        }
        for (name, path) in &case.save_bytes {
            let bytes = STANDARD.decode(member(&said.answer, path).unwrap_or_default()).unwrap();
            std::fs::write(endpoint.folder().join(name), bytes).unwrap();
        }
        if let Some(name) = &case.save_session {
            let part = |part: &str| member(&said.answer, &format!("Credentials.{part}"));
            let parts = ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(part);
            let parts = parts.map(|part| part.unwrap_or("what was not given").to_owned());
            self.sessions.insert(name.clone(), parts.to_vec());
        }
        let (records, seen) = endpoint.records_from(self.seen);
        self.seen = seen;
        for (name, path) in &case.save_record {
            let text = records.first().and_then(|record| member(record, path));
            self.saved.insert(name.clone(), text.unwrap_or("no record").to_owned());
        }
        if let Some(problem) = self.difference_of_records(endpoint, case, &said, &records) {
            let records: Vec<String> = records.iter().map(Value::to_string).collect();
            self.wrong.push(format!("{}: {problem}\n  {}", case.name, records.join("\n  ")));
        }
    }

    fn say(&mut self, endpoint: &Endpoint, case: &Case) -> Said {
        let setting = Setting {
            credentials: self.credentials(endpoint, &case.r#as),
            region: &case.region,
            endpoint: &endpoint.url,
            folder: endpoint.folder(),
        };
        if case.call.is_empty() {
            let arguments: Vec<String> =
                case.run.iter().map(|argument| filled_in(argument, &self.saved)).collect();
            let printed = clients::aws(&setting, &arguments);
            let answer = serde_json::from_str(&printed.stdout).unwrap_or_default();
            let failed = printed.exit_code != Some(0);
            return Said {
                answer,
                text: printed.stdout,
                error: failed.then(|| printed.stderr.trim().to_owned()),
                request_id: None,
                status: None,
                modelled: Vec::new(),
                exit_code: printed.exit_code,
                input: Value::Null,
            };
        }
        let input = replaced(&Value::Object(case.input.clone()), &self.saved);
        let boto3 = self.boto3.get_or_insert_with(Boto3::start);
        let mut said = boto3.call(&setting, case, &input);
        let text = |member: &Value| member.as_str().map(str::to_owned);
        let error = text(&said["error"]).map(|error| error.trim().to_owned());
        let (request_id, status) = (text(&said["request_id"]), said["status"].as_i64());
        let answer = said["answer"].take();
        let modelled = said["modelled"].as_array().into_iter().flatten().filter_map(text).collect();
        Said {
            answer,
            text: String::new(),
            error,
            request_id,
            status,
            modelled,
            exit_code: None,
            input,
        }
    }

    /// As whom a case calls.
    fn credentials(&self, endpoint: &Endpoint, name: &str) -> Option<Vec<String>> {
        let [root_id, root_secret] = endpoint.credentials["root"].clone().into();
        match name.split_once(' ') {
            Some(("session", session)) => Some(self.sessions[session].clone()),
            Some(("damaged", session)) => {
                let mut credentials = self.sessions[session].clone();
                credentials[2].replace_range(..1, "*");
                Some(credentials)
            }
            _ => match name {
                "anonymous" => None,
                "wrong-secret" => Some(vec![root_id, "wrong".to_owned()]),
                "unknown-key" => Some(vec!["AKIAAAAAAAAAAAAAAAAA".to_owned(), root_secret]),
                name => Some(<[String; 2]>::from(endpoint.credentials[name].clone()).to_vec()),
            },
        }
    }

    /// What is wrong with the answer or the error.
    fn difference(&self, case: &Case, said: &Said) -> Option<String> {
        let expected = match (case.refusal(), &case.client_error) {
            (Some((code, message)), _) => {
                let operation = case.operation().unwrap().1;
                let retries = match case.records - 1 {
                    0 => String::new(),
                    retries => format!(" (reached max retries: {retries})"),
                };
                let text = format!(
                    "An error occurred ({code}) when calling the {operation} operation{retries}: {message}"
                );
                Value::from(filled_in(&text, &self.saved).trim())
            }
            (None, Some(text)) => filled_in(text, &self.saved).into(),
            (None, None) => "null".into(),
        };
        let text = || {
            let expected = filled_in(case.text.as_ref()?, &self.saved);
            difference("the text", &expected.into(), &said.text.as_str().into())
        };
        let answer = || {
            let expected = case.answer.as_ref()?;
            difference("the answer", &replaced(expected, &self.saved), &said.answer)
        };
        difference("the error", &expected, &said.error.as_deref().into())
            .or_else(|| {
                case.operation()?.0.eq("kms").then(|| wrong_manner(case.refusal()?.0, said))?
            })
            .or_else(text)
            .or_else(answer)
    }

    /// What is wrong with the records that the call left.
    fn difference_of_records(
        &self,
        endpoint: &Endpoint,
        case: &Case,
        said: &Said,
        records: &[Value],
    ) -> Option<String> {
        let none = case.operation().is_none()
            || case.client_error.is_some()
            || case.record.as_ref().is_some_and(|record| record == "none");
        if none {
            return (!records.is_empty()).then(|| "a record that should not be".to_owned());
        }
        let by_itself = |record: &&Value| record["userIdentity"]["invokedBy"] == "AWS Internal";
        let (events, records): (Vec<&Value>, Vec<&Value>) = records.iter().partition(by_itself);
        let count = case.records + case.also.len();
        if records.len() != count {
            return Some(format!("{} records, not {count}", records.len()));
        }
        let elsewhere =
            |record: &&Value| record["userIdentity"]["invokedBy"] == "kms.amazonaws.com";
        let (others, records): (Vec<&Value>, Vec<&Value>) =
            records.into_iter().partition(elsewhere);
        if others.len() != case.also.len() {
            return Some(format!("{} records elsewhere, not {}", others.len(), case.also.len()));
        }
        let credentials = self.credentials(endpoint, &case.r#as).unwrap();
        let caller =
            Caller { name: &case.r#as, account: endpoint::ACCOUNT, access_key_id: &credentials[0] };
        let mut defaults = record::expected(case, &caller, &self.saved);
        if let Some(request_id) = said.request_id.as_ref().filter(|_| case.records == 1) {
            defaults["requestID"] = request_id.as_str().into();
        }
        let others = {
            let expected = self.overlaid(&record::elsewhere(&defaults), &case.also);
            difference("the other records", &expected, &others.into_iter().cloned().collect())
        };
        let events = {
            let expected = self.overlaid(&record::event(&case.region), &case.events);
            difference("the events", &expected, &events.into_iter().cloned().collect())
        };
        let expected = match &case.record {
            Some(own) => overlaid(&defaults, &replaced(own, &self.saved)),
            None => defaults,
        };
        let secrets = [&said.input, &said.answer].map(record::secrets).concat();
        let of_call = |record: &&Value| {
            difference("the record", &expected, record)
                .or_else(|| not_named(said, record))
                .or_else(|| leaked(&secrets, record))
        };
        others.or(events).or_else(|| records.iter().find_map(of_call))
    }

    /// What is expected besides `defaults` of each of several records.
    fn overlaid(&self, defaults: &Value, own: &[Value]) -> Value {
        own.iter().map(|own| overlaid(defaults, &replaced(own, &self.saved))).collect()
    }
}

/// A secret of the call is nowhere in its record.
fn leaked(secrets: &[&str], record: &Value) -> Option<String> {
    let text = record.to_string();
    let secret = secrets.iter().find(|secret| text.contains(**secret))?;
    Some(format!("the record shows a secret: {secret}"))
}

/// A key that the answer names is among the record's resources.
fn not_named(said: &Said, record: &Value) -> Option<String> {
    let arn = said.answer["KeyId"].as_str().filter(|id| id.starts_with("arn:"))?;
    let named = record["resources"].as_array()?.iter().any(|resource| resource["ARN"] == arn);
    (!named).then(|| format!("the record's resources do not name {arn}"))
}

/// What is wrong with how an error is told, whatever it says.
fn wrong_manner(code: &str, said: &Said) -> Option<String> {
    /// Errors that the model gives no operation, or not all that have them.
    const OF_ALL: [&str; 9] = [
        "AccessDeniedException",
        "ExpiredTokenException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "NotAuthorizedException",
        "SerializationException",
        "UnrecognizedClientException",
        "ValidationException",
        // Of operations that are not here, and parameters of operations that are.
        "UnsupportedOperationException",
    ];
    // Every error of KMS has this status: its clients retry or parse others differently.
    let status = said.status.filter(|status| !said.modelled.is_empty() && *status != 400);
    let exit = said.exit_code.filter(|code| *code != clients::EXIT_REFUSED);
    let known = said.modelled.is_empty()
        || OF_ALL.contains(&code)
        || said.modelled.iter().any(|modelled| modelled == code);
    let unknown =
        (!known).then(|| format!("{code} is no error of the operation: {:?}", said.modelled));
    status
        .map(|status| format!("the status is {status}"))
        .or(exit.map(|code| format!("the CLI ends with {code}")))
        .or(unknown)
}
