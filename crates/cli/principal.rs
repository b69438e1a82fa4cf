//! `keytrail principal`: users, roles, services and their access keys. Each change is an audited IAM call on the engine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use keytrail_kms::{Caller, CreateRoleRequest, Engine, PrincipalTag};
use serde_json::json;

use crate::policy::read_pair;
use crate::report::{print_facts, print_rows};
use crate::who::Who;
use crate::{Context, Format, Outcome, kms, moment};

/// Users, roles, services and their access keys
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keytrail principal create alice --policy may-encrypt.json --tag team=blue
  keytrail principal create-role app --trust who-may-be-app.json --policy may-encrypt.json
  keytrail principal create --service backup.amazonaws.com
  keytrail principal tag role/app dept=hr
  keytrail principal list
  keytrail principal delete role/app

A policy file is an IAM identity policy:
  {\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"kms:Encrypt\",\"kms:Decrypt\"],\"Resource\":\"*\"}]}
A trust file says who may assume the role:
  {\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\",
   \"Principal\":{\"AWS\":\"arn:aws:iam::111122223333:user/alice\"}}]}
Clients then assume it by role_arn and source_profile in ~/.aws/config.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// The user that makes the change: NAME, or ACCOUNT:NAME of another account [default: the first account's root]
    #[arg(long = "as", global = true, value_name = "NAME")]
    caller: Option<String>,
}

#[derive(Subcommand)]
enum Action {
    /// Make a user, or what acts as a service, and one access key; its secret is printed once
    Create {
        /// The user's name: 1 to 64 of letters, digits and +=,.@_-
        #[arg(required_unless_present = "service")]
        name: Option<String>,
        /// Instead of a user: a service by its DNS name, such as backup.amazonaws.com
        #[arg(long, value_name = "SERVICE", conflicts_with_all = ["name", "policy", "tag"])]
        service: Option<String>,
        /// An identity policy (JSON); may be given several times
        #[arg(long, value_name = "FILE")]
        policy: Vec<PathBuf>,
        /// A tag, which policies know as aws:PrincipalTag/KEY; may be given several times
        #[arg(long, value_name = "KEY=VALUE", value_parser = read_pair)]
        tag: Vec<(String, String)>,
    },
    /// Make a role; nobody has its keys, clients assume it
    CreateRole {
        /// The role's name: 1 to 64 of letters, digits and +=,.@_-
        name: String,
        /// Who may assume it: a trust policy (JSON)
        #[arg(long, value_name = "FILE")]
        trust: PathBuf,
        /// An identity policy (JSON) of its sessions; may be given several times
        #[arg(long, value_name = "FILE")]
        policy: Vec<PathBuf>,
        /// A tag, which policies know as aws:PrincipalTag/KEY; may be given several times
        #[arg(long, value_name = "KEY=VALUE", value_parser = read_pair)]
        tag: Vec<(String, String)>,
        /// The path in its ARN, with a slash at either end
        #[arg(long)]
        path: Option<String>,
        /// The longest session, 1h to 12h
        #[arg(long, value_parser = moment::span, value_name = "SPAN", default_value = "1h")]
        max_session: Duration,
    },
    /// Say anew who may assume a role
    Trust {
        /// role/NAME or the role's ARN
        #[arg(value_parser = Who::parse_own)]
        role: Who,
        /// A trust policy (JSON)
        file: PathBuf,
    },
    /// Give a user or role identity policies, or other texts of those that it has
    Policy {
        /// A user's name, role/NAME, or an ARN
        #[arg(value_parser = Who::parse_own)]
        principal: Who,
        /// Identity policies (JSON), named by their files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Put tags on a user or role
    Tag {
        /// A user's name, role/NAME, or an ARN
        #[arg(value_parser = Who::parse_own)]
        principal: Who,
        /// KEY=VALUE; a tag of the same key is replaced
        #[arg(required = true, value_parser = read_pair)]
        tags: Vec<(String, String)>,
    },
    /// Take tags off a user or role
    Untag {
        /// A user's name, role/NAME, or an ARN
        #[arg(value_parser = Who::parse_own)]
        principal: Who,
        /// Keys of tags
        #[arg(required = true)]
        keys: Vec<String>,
    },
    /// List users, roles and services
    List,
    /// Delete a user or service with its access keys, or a role with its sessions
    Delete {
        /// A user's name, role/NAME, a service, or an ARN
        #[arg(value_parser = Who::parse_own)]
        principal: Who,
    },
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let engine = context.data.open_engine()?;
    let caller = kms::caller(&engine, arguments.caller.as_deref())?;
    match &arguments.action {
        Action::Create { name: Some(name), policy, tag, .. } => {
            let policies = read_policies(policy)?;
            let key = engine.create_user(&caller, name, &borrowed(&policies))?;
            if !tag.is_empty() {
                engine.tag_user(&caller, name, &borrowed(tag))?;
            }
            print_key(context.format, ("user_name", name), (key.id.as_str(), key.secret.expose()))?;
        }
        Action::Create { service, .. } => {
            let service = service.as_deref().unwrap_or_default();
            let key = engine.create_service_access_key(&caller, service)?;
            let key = (key.id.as_str(), key.secret.expose());
            print_key(context.format, ("service_name", service), key)?;
        }
        Action::CreateRole { name, trust, policy, tag, path, max_session } => {
            let (trust, policies) = (read(trust)?, read_policies(policy)?);
            let seconds =
                u32::try_from(max_session.as_secs()).context("a session of 12h is the longest")?;
            let request = CreateRoleRequest {
                path: path.as_deref(),
                trust_policy: &trust,
                policies: &borrowed(&policies),
                tags: &borrowed(tag),
                max_session_seconds: Some(seconds),
            };
            let arn = engine.create_role(&caller, name, &request)?;
            let facts = [("role_name", json!(name)), ("arn", json!(arn))];
            print_facts(context.format, &facts)?;
        }
        Action::List => list(context, &engine, &caller)?,
        Action::Delete { principal } => {
            delete(&engine, &caller, principal)?;
            context.remark(&format!("deleted {}", in_words(principal)));
        }
        Action::Trust { .. }
        | Action::Policy { .. }
        | Action::Tag { .. }
        | Action::Untag { .. } => {
            alter(&engine, &caller, &arguments.action)?;
        }
    }
    engine.close()?;
    Ok(Outcome::Fine)
}

/// Changes a principal that is there, and has nothing to tell.
fn alter(engine: &Engine, caller: &Caller, action: &Action) -> anyhow::Result<()> {
    match action {
        Action::Trust { role: Who::Role { name, .. }, file } => {
            engine.update_trust_policy(caller, name, &read(file)?)?;
        }
        Action::Policy { principal, files } => {
            for (policy, text) in read_policies(files)? {
                match principal {
                    Who::User(name) => engine.put_user_policy(caller, name, &policy, &text)?,
                    Who::Role { name, .. } => {
                        engine.put_role_policy(caller, name, &policy, &text)?;
                    }
                    Who::Service(_) => bail!("a service has no policies: key policies name it"),
                }
            }
        }
        Action::Tag { principal, tags } => match principal {
            Who::User(name) => engine.tag_user(caller, name, &borrowed(tags))?,
            Who::Role { name, .. } => engine.tag_role(caller, name, &borrowed(tags))?,
            Who::Service(_) => bail!("a service has no tags"),
        },
        Action::Untag { principal, keys } => {
            let keys = keys.iter().map(String::as_str).collect::<Vec<_>>();
            match principal {
                Who::User(name) => engine.untag_user(caller, name, &keys)?,
                Who::Role { name, .. } => engine.untag_role(caller, name, &keys)?,
                Who::Service(_) => bail!("a service has no tags"),
            }
        }
        _ => bail!("only a role has a trust policy: name it as role/NAME"),
    }
    Ok(())
}

fn delete(engine: &Engine, caller: &Caller, principal: &Who) -> anyhow::Result<()> {
    match principal {
        Who::User(name) => engine.delete_user(caller, name)?,
        Who::Role { name, session: None } => engine.delete_role(caller, name)?,
        Who::Role { .. } => {
            bail!("a session ends with its role or by itself: it cannot be deleted")
        }
        Who::Service(name) => {
            if !engine.delete_service(caller, name)? {
                bail!("the service {name} has no access keys here");
            }
        }
    }
    Ok(())
}

fn list(context: &Context, engine: &Engine, caller: &Caller) -> anyhow::Result<()> {
    let tags = |tags: &[PrincipalTag]| {
        tags.iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect::<Vec<_>>().join(" ")
    };
    let users = engine.users(caller)?.into_iter().map(|user| {
        let (keys, policies) = (user.access_key_ids.join(" "), user.policy_names.join(" "));
        [user.user_name, user.arn, keys, policies, tags(&user.tags)]
    });
    let roles = engine.roles(caller)?.into_iter().map(|role| {
        let policies = role.policy_names.join(" ");
        [format!("role/{}", role.role_name), role.arn, String::new(), policies, tags(&role.tags)]
    });
    let services = engine.service_access_keys(caller)?.into_iter().map(|key| {
        [key.service_name, String::new(), key.access_key_id, String::new(), String::new()]
    });
    let columns = ["name", "arn", "access_key_ids", "policies", "tags"];
    print_rows(context, columns, users.chain(roles).chain(services))
}

/// Whose access key it is, its id, and its secret, which is shown only here.
fn print_key(format: Format, owner: (&str, &str), key: (&str, &str)) -> anyhow::Result<()> {
    let facts = [
        (owner.0, json!(owner.1)),
        ("access_key_id", json!(key.0)),
        ("secret_access_key", json!(key.1)),
    ];
    print_facts(format, &facts)
}

fn in_words(principal: &Who) -> String {
    match principal {
        Who::User(name) => format!("user {name}"),
        Who::Role { name, .. } => format!("role {name}"),
        Who::Service(name) => format!("service {name}"),
    }
}

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))
}

/// Policy documents with the names they get: their files' names without the ending.
fn read_policies(files: &[PathBuf]) -> anyhow::Result<Vec<(String, String)>> {
    let named = |file: &PathBuf| {
        let name = file.file_stem().context("a policy file has a name")?.to_string_lossy();
        Ok((name.into_owned(), read(file)?))
    };
    files.iter().map(named).collect()
}
