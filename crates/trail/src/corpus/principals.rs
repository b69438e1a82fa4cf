//! Who calls: roles of workloads with their sessions, people who sign in, users with long-lived
//! keys.
//!
//! A [`Principal`] belongs to an account for the whole corpus and works with a handful of keys, its
//! *favourites*. Each call it makes comes from one of its sessions; a session has its address, and
//! its credentials change every hour, as real temporary credentials do, so that an access key
//! occurs in many records, but not in all.

use keytrail_event::{SessionAttributes, Timestamp, UserIdentity};

use super::random::{Random, mix};
use super::world::{Account, Place, SYSTEMS, hex, unique_id};

/// Somebody who can call.
#[derive(Debug)]
pub(super) struct Principal {
    pub(super) kind: PrincipalKind,
    /// The role's or the user's name.
    pub(super) name: String,
    /// `AROA…` or `AIDA…`
    unique_id: String,
    /// A workload has one session for each instance, a person one for each person; a user calls
    /// without session.
    sessions: Vec<String>,
    /// Makes its access keys and addresses.
    seed: u64,
    client: &'static Client,
    /// For each region the keys that it works with, by index.
    favourites: Vec<Vec<usize>>,
}

/// The kinds of principals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PrincipalKind {
    /// A role assumed by instances, tasks or functions.
    Workload,
    /// A role assumed by people through single sign-on.
    People,
    /// An IAM user with a long-lived access key: build servers and old scripts.
    User,
}

/// What a caller's software says about itself, and what its connections look like.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) agent: &'static str,
    pub(super) tls_version: &'static str,
    pub(super) cipher_suite: &'static str,
    pub(super) key_exchange: Option<&'static str>,
}

/// A caller at the moment of a call.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) identity: UserIdentity,
    pub(super) address: String,
    pub(super) agent: String,
    /// Absent when a service calls.
    pub(super) client: Option<&'static Client>,
    pub(super) vpc_endpoint: Option<String>,
    pub(super) from_console: bool,
}

const fn client(
    agent: &'static str,
    cipher_suite: &'static str,
    key_exchange: &'static str,
) -> Client {
    Client { agent, tls_version: "TLSv1.3", cipher_suite, key_exchange: Some(key_exchange) }
}

const AES_128: &str = "TLS_AES_128_GCM_SHA256";
const AES_256: &str = "TLS_AES_256_GCM_SHA384";

/// The software of workloads.
static WORKLOAD_CLIENTS: [Client; 6] = [
    client(
        "aws-sdk-java/2.31.40 md/io#sync md/http#Apache ua/2.1 \
         os/Linux#5.10.236-228.935.amzn2.x86_64 \
         lang/java#21.0.7 md/OpenJDK_64-Bit_Server_VM#21.0.7+6-LTS m/D,e",
        AES_256,
        "x25519",
    ),
    client(
        "Boto3/1.38.19 md/Botocore#1.38.19 ua/2.1 os/linux#6.1.134-150.224.amzn2023.x86_64 \
         md/arch#x86_64 lang/python#3.12.10 md/pyimpl#CPython m/Z,b,e cfg/retry-mode#standard \
         Botocore/1.38.19",
        AES_128,
        "x25519",
    ),
    client(
        "aws-sdk-go-v2/1.36.3 ua/2.1 os/linux lang/go#1.24.3 md/GOOS#linux md/GOARCH#arm64 m/E,e",
        AES_128,
        "X25519MLKEM768",
    ),
    client(
        "aws-sdk-js/3.812.0 ua/2.1 os/linux#5.10.235-227.919.amzn2.x86_64 lang/js \
         md/nodejs#22.15.0 exec-env/AWS_Lambda_nodejs22.x m/E,N,e",
        AES_128,
        "x25519",
    ),
    client("aws-sdk-rust/1.3.7 ua/2.1 os/linux lang/rust/1.86.0 m/E,e", AES_256, "X25519MLKEM768"),
    Client {
        agent: "aws-sdk-java/1.12.488 Linux/5.4.242-163.349.amzn2int.x86_64 \
                OpenJDK_64-Bit_Server_VM/25.372-b08 java/1.8.0_372 vendor/Oracle_Corporation \
                cfg/retry-mode/legacy",
        tls_version: "TLSv1.2",
        cipher_suite: "ECDHE-RSA-AES128-GCM-SHA256",
        key_exchange: None,
    },
];

/// The software of people and of users.
static PEOPLE_CLIENTS: [Client; 3] = [
    client(
        "aws-cli/2.27.16 md/awscrt#0.26.1 ua/2.1 os/macos#24.4.0 md/arch#arm64 lang/python#3.13.3 \
         md/pyimpl#CPython m/E,AA,H,C cfg/retry-mode#standard md/installer#exe \
         sid/5a1f7c2e9b04 md/prompt#off",
        AES_128,
        "x25519",
    ),
    client(
        "APN/1.0 HashiCorp/1.0 Terraform/1.12.0 (+https://www.terraform.io) \
         terraform-provider-aws/5.98.0 (+https://registry.terraform.io/providers/hashicorp/aws) \
         aws-sdk-go-v2/1.36.3 ua/2.1 os/linux lang/go#1.23.8 md/GOOS#linux md/GOARCH#amd64",
        AES_128,
        "x25519",
    ),
    client(
        "Mozilla/5.0 (X11; Linux x86_64; rv:138.0) Gecko/20100101 Firefox/138.0",
        AES_128,
        "x25519",
    ),
];

const PEOPLE: [&str; 12] = [
    "ana.silva",
    "ben.okafor",
    "chen.wei",
    "dara.nolan",
    "elif.kaya",
    "farid.haddad",
    "greta.lund",
    "hugo.martin",
    "ines.costa",
    "jonas.weber",
    "kavya.rao",
    "lena.novak",
];

/// The principals of one account, busiest first.
pub(super) fn principals(
    count: usize,
    tag: &str,
    places: &[Place],
    random: &mut Random,
) -> Vec<Principal> {
    (0..count).map(|rank| Principal::new(rank, tag, places, random)).collect()
}

impl Principal {
    fn new(rank: usize, tag: &str, places: &[Place], random: &mut Random) -> Self {
        // Of ten principals one is a role of people, and two are users; the busiest is a workload.
        let kind = match rank % 10 {
            4 => PrincipalKind::People,
            1 | 7 => PrincipalKind::User,
            _ => PrincipalKind::Workload,
        };
        let system = random.pick(&SYSTEMS);
        let (name, prefix, sessions, client) = match kind {
            PrincipalKind::Workload => {
                let noun = random.pick(&["service", "worker", "api", "task", "batch"]);
                let name = format!("{system}-{noun}-{rank}");
                let sessions = workload_sessions(&name, random);
                (name, "AROA", sessions, random.pick(&WORKLOAD_CLIENTS))
            }
            PrincipalKind::People => {
                let noun = random.pick(&["PowerUserAccess", "AdministratorAccess", "KeyCustodian"]);
                let name = format!("AWSReservedSSO_{noun}_{}", hex(16, random));
                let people = PEOPLE.iter().skip(rank % 5).step_by(2);
                let sessions = people.map(|person| format!("{person}@example.com")).collect();
                (name, "AROA", sessions, &PEOPLE_CLIENTS[0])
            }
            PrincipalKind::User => {
                let noun = random.pick(&["ci", "backup", "deploy", "export"]);
                (format!("{system}-{noun}-{rank}"), "AIDA", Vec::new(), &PEOPLE_CLIENTS[1])
            }
        };
        let unique_id = unique_id(&format!("{prefix}{tag}"), 9, random);
        let seed = random.next();
        let favourites = places.iter().map(|place| favourites(place, random)).collect();
        Self { kind, name, unique_id, sessions, seed, client, favourites }
    }

    /// The key that it uses in the region, by index: one of its favourites, seldom another.
    pub(super) fn key(&self, region: usize, place: &Place, random: &mut Random) -> usize {
        let favourites = &self.favourites[region];
        if random.happens(1, 40) {
            return place.usable_key(random);
        }
        // The smaller of two draws: the first favourite is used most.
        favourites[random.index(favourites.len()).min(random.index(favourites.len()))]
    }

    /// It calls directly.
    pub(super) fn caller(
        &self,
        account: &Account,
        place: &Place,
        time: Timestamp,
        random: &mut Random,
    ) -> Caller {
        let session = match self.sessions.len() {
            0 => 0,
            count => random.index(count).min(random.index(count)),
        };
        // What belongs to a session rather than to a call comes from a stream of the session's own.
        let mut own = Random::new(self.seed).fork(session as u64);
        let from_console = self.kind == PrincipalKind::People && own.happens(1, 3);
        let client = if from_console { &PEOPLE_CLIENTS[2] } else { self.client };
        let in_vpc = self.kind == PrincipalKind::Workload && own.happens(1, 2);
        let address = if in_vpc {
            format!("10.{}.{}.{}", own.below(256), own.below(256), own.below(256))
        } else {
            let network = own.pick(&["192.0.2", "198.51.100", "203.0.113"]);
            format!("{network}.{}", own.below(256))
        };
        Caller {
            identity: self.identity(account, session, time),
            address,
            agent: client.agent.to_owned(),
            client: Some(client),
            vpc_endpoint: in_vpc.then(|| place.vpc_endpoint.clone()),
            from_console,
        }
    }

    fn identity(&self, account: &Account, session: usize, time: Timestamp) -> UserIdentity {
        let id = &account.id;
        let Some(name) = self.sessions.get(session) else {
            let access_key = access_key("AKIA", &account.tag, self.seed);
            return UserIdentity::iam_user(id, &self.name, &self.unique_id, &access_key);
        };
        // Every session renews its credentials once an hour, at a minute of its own.
        let shift = mix(self.seed ^ session as u64) % 3600;
        let created = (time.unix_seconds() - shift) / 3600 * 3600 + shift;
        let access_key =
            access_key("ASIA", &account.tag, mix(self.seed ^ created) ^ session as u64);
        let attributes = SessionAttributes {
            creation_date: Timestamp::from_unix_seconds(created),
            mfa_authenticated: self.kind == PrincipalKind::People,
        };
        let mut identity = UserIdentity::assumed_role(
            id,
            &self.name,
            &self.unique_id,
            name,
            &access_key,
            attributes,
        );
        let issuer = identity.session_context.as_mut().and_then(|context| context.issuer.as_mut());
        if let (PrincipalKind::People, Some(issuer)) = (self.kind, issuer) {
            // The roles of IAM Identity Center live below a path, which the ARN of the session does
            // not show.
            issuer.arn =
                format!("arn:aws:iam::{id}:role/aws-reserved/sso.amazonaws.com/{}", self.name);
        }
        identity
    }
}

impl Caller {
    /// A service calls with the forwarded rights of this caller: its name stands for address and
    /// agent, and nothing is known of the connection.
    pub(super) fn through(self, service: &str) -> Self {
        Self {
            identity: self.identity.invoked_by(service),
            address: service.to_owned(),
            agent: service.to_owned(),
            client: None,
            vpc_endpoint: None,
            from_console: self.from_console,
        }
    }

    /// A service calls on its own behalf.
    pub(super) fn service(service: &str) -> Self {
        Self {
            identity: UserIdentity::aws_service(service),
            address: service.to_owned(),
            agent: service.to_owned(),
            client: None,
            vpc_endpoint: None,
            from_console: false,
        }
    }

    /// The account's root user in the console.
    pub(super) fn root(account: &Account, random: &mut Random) -> Self {
        let access_key = access_key("ASIA", &account.tag, random.below(4));
        Self {
            identity: UserIdentity::root(&account.id, &access_key),
            address: "203.0.113.77".to_owned(),
            agent: PEOPLE_CLIENTS[2].agent.to_owned(),
            client: Some(&PEOPLE_CLIENTS[2]),
            vpc_endpoint: None,
            from_console: true,
        }
    }
}

/// One to five keys of a place, the busy ones more often, without repetition.
fn favourites(place: &Place, random: &mut Random) -> Vec<usize> {
    let mut favourites = Vec::new();
    for _ in 0..=random.below(5) {
        let key = place.usable_key(random);
        if !favourites.contains(&key) {
            favourites.push(key);
        }
    }
    favourites
}

/// The sessions of a workload: named by instance, by function, by task, or by the SDK.
fn workload_sessions(name: &str, random: &mut Random) -> Vec<String> {
    let style = random.below(4);
    let count = if style == 1 { 1 } else { 2 + random.below(14) };
    let session = |_| match style {
        0 => format!("i-0{}", hex(16, random)),
        1 => name.to_owned(),
        2 => format!("task-{}", hex(12, random)),
        _ => format!("botocore-session-17{}", 10_000_000 + random.below(90_000_000)),
    };
    (0..count).map(session).collect()
}

/// An access key id: prefix, the account's characters, eight of its own; always the same for the
/// same seed.
pub(super) fn access_key(prefix: &str, tag: &str, seed: u64) -> String {
    unique_id(&format!("{prefix}{tag}"), 8, &mut Random::new(seed))
}
