//! `AssumeRole`: a session of a role, for whom its trust policy lets in.
//!
//! What the session is goes sealed into its token (`session`); the engine keeps nothing, so the call changes no state and
//! `CloudTrail` calls it a read. A role that is not there is refused like one that may not be assumed: nobody learns the names
//! of roles here.
//!
//! Of a chain of roles the later sessions last an hour at most, inherit the tags that were marked transitive, and keep the
//! source identity
//! ([AssumeRole](https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html)). Managed policies, and codes of a
//! second factor, are refused: there are none here, and a session must not be wider than its maker believes.

use keytrail_auth::{
    AccessKey, AccessKeyId, IdentityPolicy, RoleName, SecretAccessKey, SessionName, SourceIdentity,
    TrustPolicy,
};
use keytrail_event::{AccountId, Arn, Timestamp};
use zeroize::Zeroizing;

use crate::environment::random_bytes;
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::identity_facts::IdentityFact;
use crate::input::Input;
use crate::names::ResourceArn;
use crate::ops::Call;
use crate::parameters::ExternalId;
use crate::reply::Reply;
use crate::session::Session;
use crate::state::Role;
use crate::tags::{self, Tag, TagKey};

/// Seconds that a session may last, whatever its role says.
const DURATION_SECONDS: std::ops::RangeInclusive<u32> = 900..=43_200;
/// The default; and the most for a session that is made with another's credentials.
const HOUR_SECONDS: u32 = 3600;
/// The longest session policy, in characters.
const POLICY_CHARS_MAX: usize = 2048;
/// Bytes that a session's policy and tags may have together. AWS says only how much of its limit is used, after packing.
const PACKED_BYTES_MAX: usize = 16_384;

struct Request {
    role_arn: String,
    session_name: Option<SessionName>,
    duration_seconds: Option<u32>,
    external_id: Option<ExternalId>,
    policy: Option<String>,
    tags: Option<Vec<Tag>>,
    transitive: Option<Vec<TagKey>>,
    source_identity: Option<SourceIdentity>,
}

pub(super) fn run(
    call: &Call<'_>,
    mut input: Input<'_>,
    facts: &mut Facts,
) -> Result<Reply, Refusal> {
    let (request, well) = read(&mut input);
    let request = input.finish(request)?;
    well?;
    if call.caller.principal().is_root() {
        let text = "Roles may not be assumed by root accounts.";
        return Err(Refusal::new(ErrorCode::AccessDeniedException, text));
    }
    let (arn, account, name) = role_of(&request.role_arn)?;
    let policy = request.policy.as_deref().map(IdentityPolicy::parse).transpose();
    let policy = policy.map_err(|error| {
        Refusal::new(ErrorCode::MalformedPolicyDocumentException, error.to_string())
    })?;
    let there = call.state.role(&account, &name).filter(|role| role.arn(&account, &name) == arn);
    let trust = there.map_or_else(TrustPolicy::of_nobody, |role| role.trust.clone());
    let subject =
        Assumption { arn: &arn.to_string(), account: &account, trust: &trust, role: there };
    call.authorize_assumption("sts:AssumeRole", &subject)?;
    let role = there.ok_or_else(Refusal::internal)?;
    let inherited = inherited_tags(call, request.tags.as_deref().unwrap_or_default())?;
    if request.tags.is_some() || !inherited.is_empty() {
        call.authorize_assumption("sts:TagSession", &subject)?;
    }
    let source_identity = source_identity(call, request.source_identity.clone())?;
    if source_identity.is_some() {
        call.authorize_assumption("sts:SetSourceIdentity", &subject)?;
    }
    let seconds = duration(call, request.duration_seconds, role)?;
    let packed = packed_percent(&request)?;
    let own = request.tags.as_deref().unwrap_or_default();
    let inherited_keys = inherited.iter().map(|tag| TagKey::new(&tag.tag_key));
    let session = Session {
        account,
        role: name,
        role_id: role.id.clone(),
        name: request.session_name.clone().ok_or_else(Refusal::internal)?,
        issued: call.now,
        expires: after(call.now, seconds),
        policy: policy.clone(),
        tags: tags::overlay(&inherited, own),
        transitive: inherited_keys.chain(request.transitive.clone().unwrap_or_default()).collect(),
        source_identity,
    };
    note_request(facts, &request, arn, (policy, inherited));
    issue(call, &session, packed, facts)
}

/// What a role that somebody wants to assume is for a decision.
#[derive(Clone, Copy)]
pub(crate) struct Assumption<'a> {
    pub(crate) arn: &'a str,
    pub(crate) account: &'a AccountId,
    pub(crate) trust: &'a TrustPolicy,
    /// `None` if there is no such role.
    pub(crate) role: Option<&'a Role>,
}

/// Reads the request; beside it, what is wrong with its members together.
fn read(input: &mut Input<'_>) -> (Request, Result<(), Refusal>) {
    let (tags, well) = tags::read_iam_tags(input);
    let role_arn = input.text("RoleArn", 20..=2048);
    input.require("RoleSessionName");
    let session_name = super::read_optional_name(input, "RoleSessionName");
    let source_identity = super::read_optional_name(input, "SourceIdentity");
    let request = Request {
        role_arn,
        session_name: session_name.and_then(|text| SessionName::parse(&text).ok()),
        duration_seconds: input.integer("DurationSeconds", DURATION_SECONDS),
        external_id: ExternalId::read(input),
        policy: input.optional_text("Policy", 1..=POLICY_CHARS_MAX),
        tags,
        transitive: tags::read_optional_tag_keys(input, "TransitiveTagKeys"),
        source_identity: source_identity.and_then(|text| SourceIdentity::parse(&text).ok()),
    };
    let unsupported = ["PolicyArns", "SerialNumber", "TokenCode", "ProvidedContexts"];
    let refused = unsupported.into_iter().find(|member| input.has(member)).map(|member| {
        let text = format!("{member} is not supported: there is nothing here that it could name.");
        Err(Refusal::new(ErrorCode::UnsupportedOperationException, text))
    });
    (request, refused.unwrap_or(well))
}

/// The parts of a role's ARN.
fn role_of(text: &str) -> Result<(Arn, AccountId, RoleName), Refusal> {
    let parts = || {
        let arn = Arn::parse(text).ok().filter(|arn| arn.service() == "iam")?;
        let account = AccountId::parse(arn.account()).ok()?;
        let path_and_name = arn.resource().strip_prefix("role/")?;
        let name = path_and_name.rsplit('/').next()?;
        let name = RoleName::parse(name).ok()?;
        Some((arn, account, name))
    };
    parts().ok_or_else(|| {
        let shown = text.chars().take(256).collect::<String>();
        Refusal::validation(format!("{shown} is invalid"))
    })
}

/// The tags that the caller's own session passes on. They cannot be changed on the way.
fn inherited_tags(call: &Call<'_>, own: &[Tag]) -> Result<Vec<Tag>, Refusal> {
    let inherited = call.caller.session().map(|session| session.inherited_tags().cloned());
    let inherited = inherited.into_iter().flatten().collect::<Vec<_>>();
    let same = |tag: &&Tag| own.iter().any(|new| new.tag_key.eq_ignore_ascii_case(&tag.tag_key));
    match inherited.iter().find(same) {
        None => Ok(inherited),
        Some(tag) => Err(Refusal::validation(format!(
            "The tag key {} is inherited as a transitive tag and cannot be set.",
            tag.tag_key
        ))),
    }
}

/// The identity that the caller's own session has, or else the one that is asked for.
fn source_identity(
    call: &Call<'_>,
    asked: Option<SourceIdentity>,
) -> Result<Option<SourceIdentity>, Refusal> {
    let own = call.caller.session().and_then(|session| session.source_identity.clone());
    match (own, asked) {
        (Some(own), Some(asked)) if own != asked => {
            Err(Refusal::validation("The source identity of a session cannot be changed."))
        }
        (own, asked) => Ok(own.or(asked)),
    }
}

fn duration(call: &Call<'_>, asked: Option<u32>, role: &Role) -> Result<u32, Refusal> {
    let seconds = asked.unwrap_or(HOUR_SECONDS);
    if seconds > role.max_session_seconds {
        return Err(Refusal::validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    if call.caller.session().is_some() && seconds > HOUR_SECONDS {
        return Err(Refusal::validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        ));
    }
    Ok(seconds)
}

fn after(now: Timestamp, seconds: u32) -> Timestamp {
    // Whole seconds, as the answer shows them.
    Timestamp::from_unix_seconds(now.unix_seconds().saturating_add(u64::from(seconds)))
}

/// How much of the limit policy and tags take, in percent; `None` if there are none.
fn packed_percent(request: &Request) -> Result<Option<u32>, Refusal> {
    let tags = request.tags.as_deref().unwrap_or_default();
    let bytes = tags.iter().map(|tag| tag.tag_key.len() + tag.tag_value.len()).sum::<usize>()
        + request.policy.as_ref().map_or(0, String::len);
    if request.policy.is_none() && tags.is_empty() {
        return Ok(None);
    }
    let percent = (bytes * 100).div_ceil(PACKED_BYTES_MAX);
    if percent > 100 {
        let text = format!(
            "Packed policy consumes {percent}% of allotted space, please use smaller policy."
        );
        return Err(Refusal::new(ErrorCode::PackedPolicyTooLargeException, text));
    }
    Ok(u32::try_from(percent).ok())
}

/// `requestParameters` of the record.
fn note_request(
    facts: &mut Facts,
    request: &Request,
    arn: Arn,
    (policy, inherited): (Option<IdentityPolicy>, Vec<Tag>),
) {
    use IdentityFact as Is;
    let inherited = (!inherited.is_empty()).then_some(Is::IncomingTransitiveTags(inherited));
    let given = [
        inherited,
        request.tags.clone().map(Is::Tags),
        Some(Is::RoleArn(arn)),
        request.session_name.clone().map(Is::RoleSessionName),
        request.external_id.clone().map(Is::ExternalId),
        policy.map(Is::SessionPolicy),
        request.duration_seconds.map(Is::DurationSeconds),
        request.transitive.clone().map(Is::TransitiveTagKeys),
        request.source_identity.clone().map(Is::SourceIdentity),
    ];
    facts.parameters = given.into_iter().flatten().map(Fact::Identity).collect();
}

/// Makes the credentials. They are in the answer and nowhere else; the record names the access key.
fn issue(
    call: &Call<'_>,
    session: &Session,
    packed: Option<u32>,
    facts: &mut Facts,
) -> Result<Reply, Refusal> {
    use IdentityFact as Is;
    let id = AccessKeyId::temporary_from_random(random_bytes(call.random));
    let mut bytes = Zeroizing::new([0; 30]);
    call.random.fill(bytes.as_mut());
    let access_key = AccessKey { id, secret: SecretAccessKey::from_random(&bytes) };
    let token = session.seal(&access_key, &call.config.origin, call.store_key, call.random)?;

    let Session { account, role, name, expires, source_identity, .. } = session;
    let arn = Arn::sts_assumed_role(account, role.as_str(), name.as_str());
    let expiration = *expires;
    let told = [
        Some(Is::Credentials { id: access_key.id.clone(), expiration }),
        Some(Is::AssumedRole { id: session.principal_id(), arn: arn.clone() }),
        packed.map(Is::PackedPolicySize),
        source_identity.clone().map(Is::SourceIdentity),
    ];
    facts.elements = told.into_iter().flatten().map(Fact::Identity).collect();
    let assumed = call.state.role(account, role).map(|it| it.arn(account, role));
    facts.resources.extend(assumed.map(|arn| ResourceArn::role(&arn, account.clone())));

    let credentials = Reply::object(200 + token.len())
        .json("AccessKeyId", access_key.id.as_str())
        .secret_text("SecretAccessKey", access_key.secret.expose())
        .secret_text("SessionToken", &token)
        .json("Expiration", expiration.event_time());
    let user =
        Reply::object(0).json("AssumedRoleId", session.principal_id()).json("Arn", arn.to_string());
    Ok(Reply::object(400 + token.len())
        .nested("Credentials", credentials)
        .nested("AssumedRoleUser", user)
        .maybe(packed, |reply, percent| reply.json("PackedPolicySize", percent))
        .maybe(source_identity.as_ref(), |reply, it| reply.json("SourceIdentity", it.as_str()))
        .finish())
}
