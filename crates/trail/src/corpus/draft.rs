//! From a caller and an action to a record: the members that every call has.
//!
//! What is special about an operation (its parameters, resources, error) is filled in by the module
//! that knows it.

use keytrail_event::{
    AccountId, EventCategory, EventType, Guid, Json, Record, Region, Resource, Timestamp,
    TlsDetails,
};

use super::principals::{Caller, PrincipalKind};
use super::random::Random;
use super::world::{Account, Key, Place, World};

/// Where and when a call happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'w> {
    pub(super) world: &'w World,
    pub(super) account: &'w Account,
    pub(super) place: &'w Place,
    /// The index of the region.
    pub(super) region: usize,
    pub(super) time: Timestamp,
}

impl Scene<'_> {
    pub(super) fn id(&self) -> &AccountId {
        &self.account.id
    }

    /// A principal of the account, the busy ones more often, at the moment of a call; and its rank.
    pub(super) fn somebody(&self, random: &mut Random) -> (usize, Caller) {
        let rank = self.account.busiest.draw(random);
        (rank, self.caller(rank, random))
    }

    /// Somebody who is no workload; in a tiny account there may be nobody else.
    pub(super) fn person(&self, random: &mut Random) -> Caller {
        match self.account.people.as_slice() {
            [] => self.somebody(random).1,
            people => self.caller(*random.pick(people), random),
        }
    }

    /// The name of a role that workloads assume; the busiest principal of an account is one.
    pub(super) fn role(&self, random: &mut Random) -> &str {
        let principals = &self.account.principals;
        let drawn = random.pick(principals);
        let is_role = drawn.kind == PrincipalKind::Workload;
        if is_role { &drawn.name } else { &principals[0].name }
    }

    /// The principal of that rank, calling.
    fn caller(&self, rank: usize, random: &mut Random) -> Caller {
        self.account.principals[rank].caller(self.account, self.place, self.time, random)
    }

    /// `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE` of something here.
    pub(super) fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.place.region, self.account.id)
    }
}

/// The record of a successful, reading API call without parameters.
pub(super) fn draft(
    scene: &Scene<'_>,
    caller: Caller,
    (service, name): (&str, &str),
    random: &mut Random,
) -> Record {
    let region = &scene.place.region;
    let tls_details = caller.client.map(|client| TlsDetails {
        tls_version: client.tls_version.to_owned(),
        cipher_suite: client.cipher_suite.to_owned(),
        client_provided_host_header: host(service, region),
        key_exchange: client.key_exchange.map(str::to_owned),
    });
    Record {
        user_identity: caller.identity,
        event_time: scene.time,
        event_source: format!("{service}.amazonaws.com"),
        event_name: name.to_owned(),
        aws_region: region.clone(),
        source_ip_address: caller.address,
        user_agent: Some(caller.agent),
        error_code: None,
        error_message: None,
        request_parameters: None,
        response_elements: None,
        additional_event_data: None,
        request_id: Some(Guid::from_random(random.bytes16())),
        event_id: Guid::from_random(random.bytes16()),
        read_only: true,
        resources: Vec::new(),
        event_type: EventType::AwsApiCall,
        api_version: None,
        management_event: true,
        recipient_account_id: scene.id().clone(),
        shared_event_id: None,
        service_event_details: None,
        vpc_endpoint_account_id: caller.vpc_endpoint.as_ref().map(|_| scene.id().clone()),
        vpc_endpoint_id: caller.vpc_endpoint,
        event_category: EventCategory::Management,
        tls_details,
        session_credential_from_console: caller.from_console,
    }
}

/// The endpoint of a service; IAM has one for the whole world.
fn host(service: &str, region: &Region) -> String {
    match service {
        "iam" => "iam.amazonaws.com".to_owned(),
        "signin" => format!("{region}.signin.aws.amazon.com"),
        _ => format!("{service}.{region}.amazonaws.com"),
    }
}

/// The entry of `resources` for a key.
pub(super) fn resource(key: &Key) -> Resource {
    Resource::kms_key(key.owner.clone(), key.arn.as_str())
}

/// An object with these members, in an order drawn by lot: in real records that order is random.
pub(super) fn shuffled(mut members: Vec<(String, Json)>, random: &mut Random) -> Json {
    for last in (1..members.len()).rev() {
        members.swap(last, random.index(last + 1));
    }
    Json::Object(members)
}

/// One member of an object.
pub(super) fn member(name: &str, value: impl Into<Json>) -> (String, Json) {
    (name.to_owned(), value.into())
}
