//! AWS managed keys: the ones that services use for whoever names no key of their own, called `alias/aws/<service>`.
//!
//! An account has at most one of each in a Region. It is made when somebody first looks at its alias (`DescribeKey`) or when
//! its service first uses it for somebody ([`Caller::via_service`](crate::Caller::via_service)); until then `ListAliases`
//! tells the alias without a target. Nobody manages it, root neither: its policy allows the service to use it for the
//! principals of the account and the account to look at it, and nothing else, so also not to change the policy. It rotates
//! every year.
//!
//! The policies are the ones that AWS publishes for `ebs`, `rds`, `s3` and `secretsmanager`, layout included; the others are
//! written alike.

use keytrail_auth::KeyPolicy;
use keytrail_event::Arn;

use crate::names::{AliasArn, AliasName, Place};
use crate::parameters::Description;

/// Days after which it rotates.
pub(crate) const ROTATION_DAYS: u32 = 365;

/// A service that has a key of its own in every account and Region.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AwsService {
    /// What its alias is called behind `alias/aws/`.
    alias: &'static str,
    /// What its DNS name begins with.
    host: &'static str,
    /// What its policy calls it.
    name: &'static str,
    /// What its key protects.
    protects: &'static str,
    /// `Id` of its policy.
    policy_id: &'static str,
    /// What it does with its key for somebody.
    actions: &'static str,
    /// What the account may do with it.
    account_actions: &'static str,
}

const USE: &str = r#""kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey""#;
const USE_WITHOUT_GRANTS: &str =
    r#""kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey""#;
const LOOK: &str = r#""kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant""#;
const LOOK_WITHOUT_GRANTS: &str = r#""kms:Describe*", "kms:Get*", "kms:List*""#;

const fn service(
    [alias, host]: [&'static str; 2],
    [name, protects]: [&'static str; 2],
    policy_id: &'static str,
) -> AwsService {
    let (actions, account_actions) = (USE, LOOK);
    AwsService { alias, host, name, protects, policy_id, actions, account_actions }
}

/// In order of alias. Every account has these aliases, so nobody can fill anything by asking for them.
const SERVICES: &[AwsService] = &[
    service(["dynamodb", "dynamodb"], ["DynamoDB", "DynamoDB data"], "auto-dynamodb-1"),
    service(["ebs", "ec2"], ["EBS", "EBS volumes"], "auto-ebs-2"),
    service(
        ["elasticfilesystem", "elasticfilesystem"],
        ["EFS", "EFS filesystems"],
        "auto-elasticfilesystem-1",
    ),
    service(["es", "es"], ["Elasticsearch Service", "Elasticsearch data"], "auto-es-1"),
    service(["glue", "glue"], ["Glue", "Glue data"], "auto-glue-1"),
    service(["kinesis", "kinesis"], ["Kinesis", "Kinesis streams"], "auto-kinesis-1"),
    service(
        ["kinesisvideo", "kinesisvideo"],
        ["Kinesis Video Streams", "kinesis video data"],
        "auto-kinesisvideo-1",
    ),
    service(["lambda", "lambda"], ["AWS Lambda", "Lambda functions"], "auto-awslambda"),
    service(["rds", "rds"], ["RDS", "RDS database volumes"], "auto-rds-2"),
    service(["redshift", "redshift"], ["Redshift", "Redshift clusters"], "auto-redshift-1"),
    AwsService {
        actions: USE_WITHOUT_GRANTS,
        account_actions: LOOK_WITHOUT_GRANTS,
        ..service(["s3", "s3"], ["S3", "S3 objects"], "auto-s3-2")
    },
    service(
        ["secretsmanager", "secretsmanager"],
        ["AWS Secrets Manager", "Secrets Manager data"],
        "auto-secretsmanager-1",
    ),
    service(["sns", "sns"], ["SNS", "SNS data"], "auto-sns-1"),
    service(["sqs", "sqs"], ["SQS", "SQS messages"], "auto-sqs-1"),
    service(["ssm", "ssm"], ["SSM", "SSM parameters"], "auto-ssm-1"),
    service(["xray", "xray"], ["X-Ray", "X-Ray data"], "auto-xray-1"),
];

impl AwsService {
    /// All of them, in order of alias.
    pub(crate) fn all() -> &'static [Self] {
        SERVICES
    }

    /// The service whose alias in this place has this ARN.
    pub(crate) fn of_alias(arn: &str, place: &Place) -> Option<&'static Self> {
        SERVICES.iter().find(|service| *place.arn_text(service.alias_name().as_str()) == *arn)
    }

    /// Whether this is the service with that host, as [`Caller::via_service`](crate::Caller::via_service) names it.
    pub(crate) fn is(&self, host: &str) -> bool {
        self.host == host
    }

    pub(crate) fn alias_name(&self) -> AliasName {
        AliasName::of_aws(self.alias)
    }

    pub(crate) fn alias_arn(&self, place: &Place) -> AliasArn {
        place.alias_arn(self.alias_name())
    }

    pub(crate) fn description(&self) -> Description {
        let protects = self.protects;
        Description::of_aws(format!(
            "Default key that protects my {protects} when no other key is defined"
        ))
    }

    /// The policy of its key in this place, spaced as AWS spaces it.
    pub(crate) fn policy(&self, place: &Place) -> KeyPolicy {
        let Self { name, policy_id, actions, account_actions, .. } = self;
        let (account, root) = (place.account(), Arn::iam_root(place.account()));
        let via = via_service(self.host, place);
        let text = format!(
            "{{\n  \"Version\" : \"2012-10-17\",\n  \"Id\" : \"{policy_id}\",\n  \"Statement\" : [ {{\n    \
             \"Sid\" : \"Allow access through {name} for all principals in the account that are authorized to use {name}\",\n    \
             \"Effect\" : \"Allow\",\n    \"Principal\" : {{\n      \"AWS\" : \"*\"\n    }},\n    \
             \"Action\" : [ {actions} ],\n    \"Resource\" : \"*\",\n    \
             \"Condition\" : {{\n      \"StringEquals\" : {{\n        \"kms:CallerAccount\" : \"{account}\",\n        \
             \"kms:ViaService\" : \"{via}\"\n      }}\n    }}\n  }}, {{\n    \
             \"Sid\" : \"Allow direct access to key metadata to the account\",\n    \
             \"Effect\" : \"Allow\",\n    \"Principal\" : {{\n      \"AWS\" : \"{root}\"\n    }},\n    \
             \"Action\" : [ {account_actions} ],\n    \"Resource\" : \"*\"\n  }} ]\n}}"
        );
        KeyPolicy::parse(&text).expect("the text is a policy, with an account and a Region in it")
    }
}

/// `kms:ViaService` of a call that the service with this host makes for somebody in this place.
pub(crate) fn via_service(host: &str, place: &Place) -> String {
    format!("{host}.{}.amazonaws.com", place.region())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn services_are_in_order_of_alias_and_found_by_it() {
        let here = Config::for_tests().home();
        assert!(SERVICES.windows(2).all(|pair| pair[0].alias < pair[1].alias));
        for service in SERVICES {
            let arn = service.alias_arn(&here);
            assert_eq!(AwsService::of_alias(arn.as_str(), &here), Some(service));
            assert!(service.policy(&here).as_str().contains(service.host));
        }
        for unknown in ["alias/aws/s3x", "alias/s3", "alias/aws/"] {
            assert_eq!(AwsService::of_alias(&here.arn_text(unknown), &here), None);
        }
    }
}
