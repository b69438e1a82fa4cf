//! The audited path. There is no other way to an operation.
//!
//! Whatever comes in (an unknown operation, a body that is no JSON, a caller whose access key is gone) and whatever comes
//! of it, the call becomes exactly one record, and the answer leaves only when that record is durable and signed. If the
//! ledger cannot take it, the caller gets `KMSInternalException` and nothing else: no answer, no hint of one. There is a copy
//! for each other account whose key it used, and a record for what it does to a multi-Region key in another Region
//! ([`super::copies`]), all in one batch.
//!
//! A call holds the state, shared or alone, until its record is enqueued. Hence the order of records is the order of
//! states: no Encrypt that was allowed by an enabled key stands behind the `DisableKey` that ended it.

use std::sync::atomic::Ordering;

use keytrail_event::{EventType, Guid, Json, Record, Region, Resource, Timestamp, UserIdentity};
use keytrail_ledger::{Append, EntryKind, LedgerError, Pending};

use super::copies::Records;
use super::snapshot::{self, Content};
use super::{Engine, changes};
use crate::environment::random_bytes;
use crate::error::{ErrorCode, KmsError, Refusal};
use crate::facts::{self, Elsewhere, Facts};
use crate::input::{Input, Sent};
use crate::names::{Place, ResourceArn};
use crate::ops::{Call, Run, Service, Workbench};
use crate::reply::{Answer, Reply};
use crate::state::{Change, State};
use crate::uses::{LastUse, Tracked};
use crate::{Caller, iam, sts};

/// The longest name of an operation that a record shows; the API's longest has 35 characters.
const NAME_CHARS_MAX: usize = 128;

/// One call, as far as it is known before it is carried out.
struct Attempt<'a> {
    service: Service,
    caller: &'a Caller,
    name: &'a str,
    read_only: bool,
    now: Timestamp,
    request_id: Guid,
    event_id: Guid,
}

/// What came of a call that changes nothing, and its place in the ledger.
struct Looked<'a> {
    outcome: Result<Reply, Refusal>,
    pending: Pending<'a>,
}

impl Engine {
    /// Carries out an operation of the KMS API: its name (`Encrypt`), and the JSON that the API takes.
    ///
    /// Exactly one record is written, also when the call is refused or makes no sense.
    pub fn call(&self, caller: &Caller, operation: &str, input: &[u8]) -> Result<Answer, KmsError> {
        self.perform(Service::Kms, caller, operation, input)
    }

    /// Carries out an operation of STS: its name (`GetCallerIdentity`), and its parameters as JSON. Recorded like any other.
    pub fn call_sts(
        &self,
        caller: &Caller,
        operation: &str,
        input: &[u8],
    ) -> Result<Answer, KmsError> {
        self.perform(Service::Sts, caller, operation, input)
    }

    pub(super) fn perform(
        &self,
        service: Service,
        caller: &Caller,
        name: &str,
        input: &[u8],
    ) -> Result<Answer, KmsError> {
        let random = &*self.environment.random;
        // In one draw, because each is a call of the operating system.
        let mut ids = [[0; 16]; 2];
        random.fill(ids.as_flattened_mut());
        let [request_id, event_id] = ids.map(Guid::from_random);
        let operation = service.find(name);
        let attempt = Attempt {
            service,
            caller,
            name,
            read_only: operation.is_some_and(|operation| operation.read_only),
            now: self.now(),
            request_id,
            event_id,
        };
        self.do_what_is_due(attempt.now).map_err(|_| attempt.internal())?;
        match operation.map(|operation| operation.run) {
            Some(Run::Read(run)) => self.read(&attempt, |call, facts| {
                let input = Input::parse(input)?;
                run(&Call { sent: input.sent(), ..call }, input, facts)
            }),
            Some(Run::Change(run)) => self.change(&attempt, |call, facts| {
                let input = Input::parse(input)?;
                run(&Call { sent: input.sent(), ..call }, input, facts)
            }),
            Some(Run::Unsupported) => self.read(&attempt, |_, _| Err(not_supported(name))),
            None => {
                self.read(&attempt, |_, _| Err(Refusal::bare(ErrorCode::UnknownOperationException)))
            }
        }
    }

    /// A call that changes nothing, beside others.
    fn read(
        &self,
        attempt: &Attempt<'_>,
        run: impl Fn(Call<'_>, &mut Facts) -> Result<Reply, Refusal>,
    ) -> Result<Answer, KmsError> {
        let workbench = Workbench::default();
        loop {
            let (looked, saved) = if self.snapshot_is_due() {
                // Alone, so that every call in the ledger before this one has noted its uses of keys.
                let state = self.state.write().map_err(|_| attempt.internal())?;
                let looked = self.look(&state, attempt, &workbench, &run)?;
                let saved = looked.is_some().then(|| self.save_as(&state));
                (looked, saved)
            } else {
                let state = self.state.read().map_err(|_| attempt.internal())?;
                (self.look(&state, attempt, &workbench, &run)?, None)
            };
            if let Some(Looked { outcome, pending }) = looked {
                return self.conclude(attempt, outcome, pending, saved);
            }
            if let Some(service) = workbench.take_aws_managed_key() {
                let made = self.make_aws_managed_key(service, attempt.caller.home(), attempt.now);
                made.map_err(|_| attempt.internal())?;
            }
            self.make_ordered(&workbench);
        }
    }

    /// Makes what an operation ordered. No lock is held.
    fn make_ordered(&self, workbench: &Workbench) {
        let random = &*self.environment.random;
        workbench.make(random, || {
            let made = self.material_keys.make(1, self.ledger.size(), &self.store_key, random);
            made.ok()?.pop()
        });
    }

    /// Runs the operation and enqueues its record; `None` if it ordered a key that has to be made first.
    fn look(
        &self,
        state: &State,
        attempt: &Attempt<'_>,
        workbench: &Workbench,
        run: impl Fn(Call<'_>, &mut Facts) -> Result<Reply, Refusal>,
    ) -> Result<Option<Looked<'_>>, KmsError> {
        let mut facts = Facts::default();
        let call = self.admit(state, attempt, workbench);
        let outcome = call.and_then(|call| run(call, &mut facts));
        if workbench.has_order() {
            return Ok(None);
        }
        let record = attempt.record(&facts, outcome.as_ref().err());
        let random = &*self.environment.random;
        let mut records = Records::of(record, &facts, attempt.caller, random);
        let time = attempt.now.unix_nanos();
        let pending = self.enqueue_records(&mut records, Vec::new(), time);
        let pending = pending.map_err(|_| attempt.internal())?;
        if let (Ok(_), Some(last)) = (&outcome, attempt.as_use(pending.sequence())) {
            let keys = facts.resources.iter().filter_map(ResourceArn::key);
            let uses = keys.map(|key| (key.clone(), records.use_of(key, last)));
            let encrypting = last.operation.encrypting_member();
            let encrypting = encrypting.and_then(|member| facts.additional_material(member));
            self.uses.note(uses, encrypting);
        }
        Ok(Some(Looked { outcome, pending }))
    }

    /// A call that may end in a change, alone.
    fn change(
        &self,
        attempt: &Attempt<'_>,
        run: impl Fn(Call<'_>, &mut Facts) -> Result<(Reply, Change), Refusal>,
    ) -> Result<Answer, KmsError> {
        let workbench = Workbench::default();
        let (mut state, facts, outcome) = loop {
            let state = self.state.write().map_err(|_| attempt.internal())?;
            let mut facts = Facts::default();
            workbench.begin();
            let outcome = self.admit(&state, attempt, &workbench).and_then(|call| {
                let (reply, change) = run(call, &mut facts)?;
                // A change that does not fit is our bug. Found here it is one refused call; in a replay it would be a
                // state that cannot be rebuilt.
                change.check(&state).map_err(|_| Refusal::internal())?;
                Ok((reply, change))
            });
            if !workbench.has_order() {
                break (state, facts, outcome);
            }
            drop(state);
            self.make_ordered(&workbench);
        };
        let record = attempt.record(&facts, outcome.as_ref().err());
        let random = &*self.environment.random;
        let mut records = Records::of(record, &facts, attempt.caller, random);
        let (outcome, change, unused) = match outcome {
            Ok((reply, change)) => (Ok(reply), Some(change), workbench.unused()),
            Err(refusal) => (Err(refusal), None, workbench.made()),
        };
        let sealed = change
            .as_ref()
            .map(|change| self.seal_change(&state, change, &records.own))
            .unwrap_or_default();
        records.elsewhere = match &change {
            Some(change) => self.records_elsewhere(attempt, &facts, change, &state),
            None => Vec::new(),
        };
        let pending = self.enqueue_records(&mut records, sealed, attempt.now.unix_nanos());
        let pending = pending.map_err(|_| attempt.internal())?;
        let ended = change.as_ref().map(|change| change.ends(&state)).unwrap_or_default();
        // The place in the ledger is taken, so this is what the state is from here on. If the ledger fails before the
        // record is durable, it fails for everybody: no answer leaves that shows this state.
        if let Some(change) = change {
            let reschedules = change.reschedules();
            state.apply(change);
            if reschedules {
                self.note_next_due(&state);
            }
        }
        let saved = self.snapshot_is_due().then(|| self.save_as(&state));
        drop(state);
        // Nothing refers to an unused one, so it may go whatever becomes of the record.
        let unused = self.material_keys.erase(unused.as_slice());
        let answer = self.conclude(attempt, outcome, pending, saved);
        // The record of what ended them is durable, or there is no answer: then the next opening decides by the log.
        let erased = answer.is_err() || self.material_keys.erase(&ended).is_ok();
        // The change may have made something due: a rotation on demand, or one that a disabled key was waiting for. It is
        // no part of this call, which is answered whatever becomes of it; what is not done now is done before the next.
        let _ = self.do_what_is_due(attempt.now);
        // Whoever is told that material is gone may rely on it. If the disk does not take it, the next opening erases it.
        if erased && unused.is_ok() { answer } else { Err(attempt.internal()) }
    }

    /// Waits until the record is durable, and only then lets the outcome go.
    fn conclude(
        &self,
        attempt: &Attempt<'_>,
        outcome: Result<Reply, Refusal>,
        pending: Pending<'_>,
        saved: Option<Content>,
    ) -> Result<Answer, KmsError> {
        let receipt = pending.wait().map_err(|_| attempt.internal())?;
        if let Some(content) = saved {
            // Everything up to this record is durable now. A failed snapshot costs time at the next opening, no more.
            let _ = snapshot::save(self, &content, receipt.sequence, receipt.leaf_hash);
        }
        let (request_id, event_id) = (attempt.request_id, attempt.event_id);
        match outcome {
            Ok(reply) => Ok(Answer { reply, request_id, event_id, sequence: receipt.sequence }),
            Err(refusal) => Err(KmsError::new(refusal, request_id)),
        }
    }

    /// Checks that the caller's access key still exists and is still this principal's, or that its session is not over, and that it calls in a Region of ours.
    fn admit<'a>(
        &'a self,
        state: &'a State,
        attempt: &'a Attempt<'_>,
        workbench: &'a Workbench,
    ) -> Result<Call<'a>, Refusal> {
        let caller = attempt.caller;
        let owner = state.access_keys.get(caller.access_key_id()).map(|entry| &entry.owner);
        if let Some(session) = caller.session() {
            session.check(state, attempt.now)?;
        } else if !owner.is_some_and(|owner| owner.is(caller.principal())) {
            let text = "The security token included in the request is invalid.";
            return Err(Refusal::new(ErrorCode::UnrecognizedClientException, text));
        }
        let region = caller.region();
        let global = attempt.service == Service::Sts && region.as_str() == sts::REGION;
        if !global && !self.config.regions.contains(region) {
            let text = format!("There are no keys in {region} here.");
            return Err(Refusal::validation(text));
        }
        Ok(self.call_by(caller, state, workbench, attempt.now))
    }

    /// What operations and questions work with; no request yet.
    pub(super) fn call_by<'a>(
        &'a self,
        caller: &'a Caller,
        state: &'a State,
        workbench: &'a Workbench,
        now: Timestamp,
    ) -> Call<'a> {
        let (config, random) = (&self.config, &*self.environment.random);
        let (store_key, material_keys) = (&self.store_key, &self.material_keys);
        let (uses, quotas, sent) = (&self.uses, &self.quotas, Sent::default());
        Call {
            state,
            uses,
            config,
            quotas,
            store_key,
            material_keys,
            random,
            workbench,
            caller,
            now,
            sent,
        }
    }

    /// Puts a record into the ledger's queue; cheap enough to be done under the state's lock.
    pub(super) fn enqueue(
        &self,
        record: String,
        state: Vec<u8>,
        now: Timestamp,
    ) -> Result<Pending<'_>, LedgerError> {
        let payload = record.into_bytes();
        let append = Append { kind: EntryKind::Record, time_ns: now.unix_nanos(), payload, state };
        self.enqueue_behind(Vec::new(), append)
    }

    /// The records of what a call, or its change, does in other Regions. The state is the one before it.
    fn records_elsewhere(
        &self,
        attempt: &Attempt<'_>,
        facts: &Facts,
        change: &Change,
        state: &State,
    ) -> Vec<String> {
        let elsewhere = facts.elsewhere.iter().map(|elsewhere| {
            let event_id = Guid::from_random(random_bytes(&*self.environment.random));
            attempt.record_elsewhere(elsewhere, event_id)
        });
        elsewhere.chain(self.synchronizations(change, state, attempt.now)).collect()
    }

    /// The same, right behind other entries and in the same batch with them.
    pub(super) fn enqueue_behind(
        &self,
        mut before: Vec<Append>,
        last: Append,
    ) -> Result<Pending<'_>, LedgerError> {
        if before.is_empty() {
            let pending = self.ledger.enqueue(last)?;
            self.note_enqueued(&pending, 1);
            return Ok(pending);
        }
        before.push(last);
        let entries = before.len() as u64;
        let mut pending = self.ledger.enqueue_together(before)?;
        let last = pending.pop().expect("as many as were given, which is one at least");
        self.note_enqueued(&last, entries);
        Ok(last)
    }

    fn note_enqueued(&self, last: &Pending<'_>, entries: u64) {
        self.unsaved.fetch_add(entries, Ordering::Relaxed);
        self.expected_size.fetch_max(last.sequence() + 1, Ordering::Relaxed);
    }

    pub(super) fn seal_change(&self, state: &State, change: &Change, record: &str) -> Vec<u8> {
        let random = &*self.environment.random;
        changes::seal(
            &self.store_key,
            &self.config.origin,
            record.as_bytes(),
            state.changes,
            change,
            random,
        )
    }
}

impl Attempt<'_> {
    fn internal(&self) -> KmsError {
        KmsError::internal(self.request_id)
    }

    /// What this call is for the keys that it uses, if it succeeds as the record with this number.
    fn as_use(&self, sequence: u64) -> Option<LastUse> {
        Some(LastUse {
            sequence,
            operation: Tracked::find(self.service, self.name)?,
            time: Timestamp::from_unix_seconds(self.now.unix_seconds()),
            event_id: self.event_id,
            request_id: self.request_id,
        })
    }

    /// The text of what KMS did in another Region for the caller: the same call's, and an event of its own.
    fn record_elsewhere(&self, elsewhere: &Elsewhere, event_id: Guid) -> String {
        let Elsewhere { operation, place, facts } = elsewhere;
        let name = (*operation).to_owned();
        let user_identity = self.caller.identity().invoked_by(Service::Kms.event_source());
        let aws_region = region_of(self.service, place);
        let record = self.record(facts, None);
        Record { event_name: name, user_identity, aws_region, event_id, ..record }.to_json()
    }

    /// The caller's record. `refusal` is `None` when the call succeeds.
    fn record(&self, facts: &Facts, refusal: Option<&Refusal>) -> Record {
        let answered = refusal.is_none();
        let name: String = self.name.chars().take(NAME_CHARS_MAX).collect();
        let region = region_of(self.service, self.caller.home());
        Record {
            source_ip_address: self.caller.source_ip().to_owned(),
            user_agent: Some(self.caller.user_agent().to_owned()),
            error_code: refusal.map(|refusal| refusal.recorded_code().to_owned()),
            error_message: refusal.and_then(|refusal| refusal.message.clone()),
            request_parameters: facts::object(&facts.parameters),
            response_elements: answered.then(|| facts::object(&facts.elements)).flatten(),
            additional_event_data: facts::object(&facts.additional),
            request_id: Some(self.request_id),
            read_only: self.read_only,
            resources: resources(facts),
            tls_details: self.caller.tls().cloned(),
            ..Record::new(
                self.now,
                self.service.event_source(),
                &name,
                self.caller.identity(),
                region,
                self.caller.account().clone(),
                self.event_id,
            )
        }
    }
}

/// The record of something that the engine does by itself in a place, without a caller. Its name is for whoever knows it.
pub(super) fn service_event(place: &Place, event_id: Guid, now: Timestamp) -> Record {
    let identity = UserIdentity::service_event(place.account());
    let (region, account) = (place.region().clone(), place.account().clone());
    Record {
        user_agent: Some("AWS Internal".to_owned()),
        event_type: EventType::AwsServiceEvent,
        ..Record::new(now, Service::Kms.event_source(), "", identity, region, account, event_id)
    }
}

pub(super) fn region_of(service: Service, home: &Place) -> Region {
    match service {
        Service::Kms | Service::Sts => home.region().clone(),
        Service::Iam | Service::Organizations => {
            Region::parse(iam::REGION).expect("the constant is a region")
        }
    }
}

fn resources(facts: &Facts) -> Vec<Resource> {
    let resource = |arn: &ResourceArn| match arn {
        ResourceArn::Key(_) | ResourceArn::Alias(_) => {
            Resource::kms_key(arn.account().clone(), arn.as_str())
        }
        ResourceArn::Role { account, arn } => Resource::iam_role(account.clone(), arn.as_str()),
    };
    facts.resources.iter().map(resource).collect()
}

fn not_supported(name: &str) -> Refusal {
    Refusal::new(ErrorCode::UnsupportedOperationException, format!("{name} is not supported yet."))
}

/// The one response element of a service event about a key.
pub(super) fn key_element(arn: &str) -> Json {
    Json::object().with("keyId", arn)
}
