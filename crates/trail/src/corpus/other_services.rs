//! The tenth of the log that is not KMS: storage, identities, machines, sign-ins.
//!
//! A reader that only ever saw KMS records would be surprised by all of this: events without
//! `requestID` or without access key, data events, global endpoints, error codes with dots, numbers
//! and nested lists in parameters, web identities. Nothing here looks like a credential: what real
//! records show of session tokens is left out.

use keytrail_event::{
    EventCategory, EventType, Guid, Json, Record, Resource, SessionAttributes, SessionContext,
    UserIdentity,
};

use super::draft::{Scene, draft, member, shuffled};
use super::principals::{Caller, access_key};
use super::random::Random;
use super::world::hex;

/// Calls that read, and are told by one parameter: service, action, the parameter's name, its value
/// without number.
const READS: [(&str, &str, &str, &str); 10] = [
    ("iam", "GetRole", "roleName", "prod-orders-service"),
    ("iam", "ListAttachedRolePolicies", "roleName", "prod-ledger-worker"),
    ("iam", "GetUser", "userName", "export"),
    ("secretsmanager", "GetSecretValue", "secretId", "prod/database/credentials"),
    ("secretsmanager", "DescribeSecret", "secretId", "prod/mail/token"),
    ("dynamodb", "DescribeTable", "tableName", "prod-sessions"),
    ("lambda", "GetFunction20150331v2", "functionName", "prod-media-thumbnail"),
    ("logs", "DescribeLogStreams", "logGroupName", "/aws/lambda/prod-mail-sender"),
    ("ssm", "GetParameter", "name", "/prod/search/endpoint"),
    ("rds", "DescribeDBInstances", "dBInstanceIdentifier", "prod-billing"),
];

/// One event of another service.
pub(super) fn other_service(scene: &Scene<'_>, random: &mut Random) -> Record {
    match random.below(20) {
        0..6 => read(scene, random),
        6..11 => storage(scene, random),
        11..14 => role_assumption(scene, random),
        14..16 => caller_identity(scene, random),
        16..18 => instances(scene, random),
        18 => web_identity(scene, random),
        _ => console_login(scene, random),
    }
}

fn read(scene: &Scene<'_>, random: &mut Random) -> Record {
    let (service, name, parameter, value) = *random.pick(&READS);
    let (_, caller) = scene.somebody(random);
    let mut record = draft(scene, caller, (service, name), random);
    let value = format!("{value}-{}", random.below(12));
    record.request_parameters = Some(Json::object().with(parameter, value.as_str()));
    if service == "iam" && random.happens(1, 12) {
        record.error_code = Some("NoSuchEntityException".to_owned());
        record.error_message = Some(format!("The role with name {value} cannot be found."));
    }
    record
}

/// Reads and writes of S3, some of them data events.
fn storage(scene: &Scene<'_>, random: &mut Random) -> Record {
    let (name, data_event) = *random.pick(&[
        ("GetObject", true),
        ("PutObject", true),
        ("GetObject", true),
        ("GetBucketAcl", false),
        ("GetBucketEncryption", false),
        ("ListBuckets", false),
    ]);
    let (_, caller) = scene.somebody(random);
    let mut record = draft(scene, caller, ("s3", name), random);
    let bucket = random.pick(&scene.place.keys).subject.as_str();
    let host = format!("{bucket}.s3.{}.amazonaws.com", scene.place.region);
    let bucket_arn = format!("arn:aws:s3:::{bucket}");
    let mut members = vec![member("bucketName", bucket), member("Host", host.as_str())];
    if data_event {
        let key = format!("exports/part-{:05}.parquet", random.below(4000));
        let object_arn = format!("{bucket_arn}/{key}");
        record.resources.push(storage_resource(scene, "AWS::S3::Object", object_arn));
        members.push(member("key", key));
        record.read_only = name == "GetObject";
        record.management_event = false;
        record.event_category = EventCategory::Data;
    }
    record.resources.push(storage_resource(scene, "AWS::S3::Bucket", bucket_arn));
    if let Some(tls) = &mut record.tls_details {
        tls.client_provided_host_header = host;
    }
    if random.happens(1, 25) {
        record.error_code = Some("AccessDenied".to_owned());
        record.error_message = Some("Access Denied".to_owned());
    }
    record.request_parameters = Some(shuffled(members, random));
    record.additional_event_data = Some(
        Json::object()
            .with("SignatureVersion", "SigV4")
            .with("CipherSuite", "TLS_AES_128_GCM_SHA256")
            .with("bytesTransferredIn", 0)
            .with("AuthenticationMethod", "AuthHeader")
            .with("bytesTransferredOut", i64::try_from(random.below(90_000)).unwrap_or(0)),
    );
    record
}

fn storage_resource(scene: &Scene<'_>, kind: &str, arn: String) -> Resource {
    Resource { account_id: scene.id().clone(), kind: kind.to_owned(), arn }
}

/// A service assumes a role for the workload that runs on it.
fn role_assumption(scene: &Scene<'_>, random: &mut Random) -> Record {
    let service =
        random.pick(&["ec2.amazonaws.com", "lambda.amazonaws.com", "ecs-tasks.amazonaws.com"]);
    let mut record = draft(scene, Caller::service(service), ("sts", "AssumeRole"), random);
    let role = scene.role(random);
    let (account, session) = (scene.id(), format!("i-0{}", hex(16, random)));
    let role_arn = format!("arn:aws:iam::{account}:role/{role}");
    let members = vec![
        member("roleArn", role_arn.as_str()),
        member("roleSessionName", session.as_str()),
        member("durationSeconds", 3600),
    ];
    record.request_parameters = Some(shuffled(members, random));
    let access_key = access_key("ASIA", &scene.account.tag, random.next());
    record.response_elements = Some(Json::object().with(
        "credentials",
        Json::object().with("accessKeyId", access_key).with("expiration", scene.time.locale()),
    ));
    record.resources.push(Resource {
        account_id: account.clone(),
        kind: "AWS::IAM::Role".to_owned(),
        arn: role_arn,
    });
    record.shared_event_id = Some(Guid::from_random(random.bytes16()));
    record
}

fn caller_identity(scene: &Scene<'_>, random: &mut Random) -> Record {
    let (_, caller) = scene.somebody(random);
    draft(scene, caller, ("sts", "GetCallerIdentity"), random)
}

/// EC2 writes its own dialect: lists as `{"items":[…]}`, error codes with a dot.
fn instances(scene: &Scene<'_>, random: &mut Random) -> Record {
    let (_, caller) = scene.somebody(random);
    let mut record = draft(scene, caller, ("ec2", "DescribeInstances"), random);
    let instance = Json::object().with("instanceId", format!("i-0{}", hex(16, random)));
    record.request_parameters = Some(
        Json::object()
            .with("instancesSet", Json::object().with("items", vec![instance]))
            .with("filterSet", Json::object()),
    );
    if random.happens(1, 15) {
        record.error_code = Some("Client.UnauthorizedOperation".to_owned());
        record.error_message = Some(
            "You are not authorized to perform this operation. User is not authorized to perform: \
             ec2:DescribeInstances because no identity-based policy allows the \
             ec2:DescribeInstances action"
                .to_owned(),
        );
    }
    record
}

/// A pod takes on its role with the token of its cluster: a caller without access key or ARN.
fn web_identity(scene: &Scene<'_>, random: &mut Random) -> Record {
    let (_, mut caller) = scene.somebody(random);
    let cluster = format!(
        "oidc.eks.{}.amazonaws.com/id/{}",
        scene.place.region,
        hex(32, &mut Random::new(1))
    );
    let subject =
        format!("system:serviceaccount:prod:{}", random.pick(&["orders", "search", "mail"]));
    let provider = format!("arn:aws:iam::{}:oidc-provider/{cluster}", scene.id());
    caller.identity = UserIdentity {
        kind: Some("WebIdentityUser".to_owned()),
        principal_id: Some(format!("{provider}:sts.amazonaws.com:{subject}")),
        user_name: Some(subject),
        identity_provider: Some(provider),
        ..UserIdentity::default()
    };
    caller.from_console = false;
    let mut record = draft(scene, caller, ("sts", "AssumeRoleWithWebIdentity"), random);
    let role = scene.role(random);
    record.request_parameters = Some(
        Json::object()
            .with("roleArn", format!("arn:aws:iam::{}:role/{role}", scene.id()))
            .with("roleSessionName", format!("botocore-session-{}", random.below(1_000_000_000))),
    );
    record
}

/// A sign-in, sometimes a failed one; it has no request id.
fn console_login(scene: &Scene<'_>, random: &mut Random) -> Record {
    let mut caller = scene.person(random);
    let with_mfa = random.happens(3, 4);
    if let Some(SessionContext { attributes: Some(attributes), .. }) =
        &mut caller.identity.session_context
    {
        *attributes = SessionAttributes { mfa_authenticated: with_mfa, ..*attributes };
    }
    // Nobody has an access key before having signed in.
    caller.identity.access_key_id = None;
    caller.from_console = false;
    caller.vpc_endpoint = None;
    let mut record = draft(scene, caller, ("signin", "ConsoleLogin"), random);
    let failed = random.happens(1, 8);
    let outcome = if failed { "Failure" } else { "Success" };
    record.response_elements = Some(Json::object().with("ConsoleLogin", outcome));
    record.error_message = failed.then(|| "Failed authentication".to_owned());
    record.additional_event_data = Some(
        Json::object()
            .with("LoginTo", "https://console.aws.amazon.com/console/home")
            .with("MobileVersion", "No")
            .with("MFAUsed", if with_mfa { "Yes" } else { "No" }),
    );
    record.request_id = None;
    record.read_only = false;
    record.event_type = EventType::AwsConsoleSignIn;
    record
}
