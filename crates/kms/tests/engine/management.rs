//! Managing keys: aliases that move, tags, descriptions, and lists of things of which there is one or none.

use serde_json::{Value, json};

use crate::support::{Bench, arn, call, check_refused, text};

const ALIAS_ARN: &str = "arn:aws:kms:us-east-1:111122223333:alias/app";

fn target_of(bench: &Bench, alias: &str) -> String {
    text(&call(bench, "DescribeKey", &json!({"KeyId": alias}))["KeyMetadata"], "KeyId").to_owned()
}

fn pend(bench: &Bench, key: &str) -> String {
    call(bench, "ScheduleKeyDeletion", &json!({"KeyId": key, "PendingWindowInDays": 7}));
    format!("KMSInvalidStateException: {} is pending deletion.", arn(key))
}

#[test]
fn an_alias_moves_to_another_key_and_goes_without_one() {
    let bench = Bench::new();
    let [old, new] = [bench.key(), bench.key()];
    let alias = |key: &str| json!({"AliasName": "alias/app", "TargetKeyId": key});
    let absent = format!("NotFoundException: Alias {ALIAS_ARN} is not found.");
    check_refused(&bench, "UpdateAlias", &alias(&new), &absent);
    check_refused(&bench, "DeleteAlias", &json!({"AliasName": "alias/app"}), &absent);
    call(&bench, "CreateAlias", &alias(&old));
    bench.advance(1_000_000_000);
    assert_eq!(call(&bench, "UpdateAlias", &alias(&arn(&new))), json!({}));
    assert_eq!(target_of(&bench, "alias/app"), new);
    let listed = call(&bench, "ListAliases", &json!({}));
    assert_eq!(listed["Aliases"][0]["CreationDate"], 1_747_806_465.0);
    assert_eq!(listed["Aliases"][0]["LastUpdatedDate"], 1_747_806_466.0);
    let to_alias = "ValidationException: Aliases must refer to keys. Not aliases";
    check_refused(&bench, "UpdateAlias", &alias("alias/app"), to_alias);
    let aws = json!({"AliasName": "alias/aws/s3", "TargetKeyId": new});
    check_refused(&bench, "UpdateAlias", &aws, "NotAuthorizedException");
    check_refused(&bench, "DeleteAlias", &aws, "NotAuthorizedException");
    call(&bench, "DeleteAlias", &json!({"AliasName": "alias/app"}));
    check_refused(&bench, "DescribeKey", &json!({"KeyId": "alias/app"}), &absent);
    call(&bench, "CreateAlias", &alias(&old));
}

#[test]
fn an_alias_leaves_a_key_that_is_to_be_deleted_but_does_not_come_to_one() {
    let bench = Bench::new();
    let [doomed, key] = [bench.key(), bench.key()];
    for (name, key) in [("alias/a", &doomed), ("alias/b", &doomed), ("alias/c", &key)] {
        call(&bench, "CreateAlias", &json!({"AliasName": name, "TargetKeyId": key}));
    }
    let pending = pend(&bench, &doomed);
    let to_doomed = json!({"AliasName": "alias/c", "TargetKeyId": doomed});
    check_refused(&bench, "UpdateAlias", &to_doomed, &pending);
    call(&bench, "UpdateAlias", &json!({"AliasName": "alias/a", "TargetKeyId": key}));
    call(&bench, "DeleteAlias", &json!({"AliasName": "alias/b"}));
}

#[test]
fn the_quota_of_aliases_holds_for_moved_ones_too() {
    let bench = Bench::new();
    let [full, other] = [bench.key(), bench.key()];
    let alias = |name: &str, key: &str| json!({"AliasName": name, "TargetKeyId": key});
    for number in 0..50 {
        call(&bench, "CreateAlias", &alias(&format!("alias/{number}"), &full));
    }
    call(&bench, "CreateAlias", &alias("alias/other", &other));
    let many = format!("LimitExceededException: The key {} has 50 aliases already.", arn(&full));
    check_refused(&bench, "UpdateAlias", &alias("alias/other", &full), &many);
    call(&bench, "UpdateAlias", &alias("alias/7", &full));
}

#[test]
fn whoever_moves_an_alias_needs_the_permission_on_alias_and_both_keys() {
    let bench = Bench::new();
    let [old, new] = [bench.key(), bench.key()];
    call(&bench, "CreateAlias", &json!({"AliasName": "alias/app", "TargetKeyId": old}));
    let input = json!({"AliasName": "alias/app", "TargetKeyId": new}).to_string();
    let all = [ALIAS_ARN.to_owned(), arn(&old), arn(&new)];
    for missing in 0..3 {
        let mut some = all.to_vec();
        let absent = some.remove(missing);
        let statement =
            json!({"Effect": "Allow", "Action": "kms:UpdateAlias", "Resource": some}).to_string();
        let user = bench.user(&format!("user-{missing}"), &statement);
        let refused = bench.call_as(&user, "UpdateAlias", &input).unwrap_err().to_string();
        assert!(refused.contains(&format!("kms:UpdateAlias on resource: {absent}")), "{refused}");
    }
    let statement = json!({"Effect": "Allow", "Action": "kms:*Alias", "Resource": all}).to_string();
    let user = bench.user("alias-keeper", &statement);
    bench.call_as(&user, "UpdateAlias", &input).unwrap();
    bench.call_as(&user, "DeleteAlias", r#"{"AliasName": "alias/app"}"#).unwrap();
}

#[test]
fn a_description_is_replaced_and_may_be_empty() {
    let bench = Bench::new();
    let key = bench.key();
    for description in ["payroll", ""] {
        call(&bench, "UpdateKeyDescription", &json!({"KeyId": key, "Description": description}));
        let described = call(&bench, "DescribeKey", &json!({"KeyId": key}));
        assert_eq!(described["KeyMetadata"]["Description"], description);
    }
    let missing = "ValidationException: 1 validation error detected: Value null at 'description' failed to satisfy \
                   constraint: Member must not be null";
    check_refused(&bench, "UpdateKeyDescription", &json!({"KeyId": key}), missing);
    let pending = pend(&bench, &key);
    let input = json!({"KeyId": key, "Description": "x"});
    check_refused(&bench, "UpdateKeyDescription", &input, &pending);
}

fn tags_of(bench: &Bench, key: &str) -> Value {
    call(bench, "ListResourceTags", &json!({"KeyId": key}))["Tags"].clone()
}

#[test]
fn tags_are_put_replaced_listed_and_taken_off() {
    let bench = Bench::new();
    let key = bench.key();
    let tag = |key: &str, value: &str| json!({"TagKey": key, "TagValue": value});
    let put = |tags: Value| json!({"KeyId": key, "Tags": tags});
    call(&bench, "TagResource", &put(json!([tag("team", "hr"), tag("cost", "7")])));
    call(&bench, "TagResource", &put(json!([tag("team", "it"), tag("Team", "")])));
    assert_eq!(
        tags_of(&bench, &key),
        json!([tag("Team", ""), tag("cost", "7"), tag("team", "it")])
    );
    let page = call(&bench, "ListResourceTags", &json!({"KeyId": key, "Limit": 2}));
    assert_eq!(page["Truncated"], true);
    // The marker finds its place again, though its own tag is gone by then.
    let off = json!({"KeyId": key, "TagKeys": ["cost", "unknown"]});
    call(&bench, "UntagResource", &off);
    let rest = json!({"KeyId": key, "Limit": 2, "Marker": page["NextMarker"]});
    let rest = call(&bench, "ListResourceTags", &rest);
    assert_eq!(rest, json!({"Tags": [tag("team", "it")], "Truncated": false}));
    check_refused(
        &bench,
        "TagResource",
        &put(json!([tag("a", "1"), tag("a", "2")])),
        "TagException: Duplicate tag keys",
    );
    check_refused(
        &bench,
        "TagResource",
        &put(json!([tag("Aws:x", "1")])),
        "TagException: Tags beginning with aws: are reserved",
    );
    let many = (0..49).map(|number| tag(&number.to_string(), "")).collect::<Vec<_>>();
    check_refused(&bench, "TagResource", &put(json!(many)), "TagException: Too many tags");
    let pending = pend(&bench, &key);
    check_refused(&bench, "TagResource", &put(json!([tag("a", "1")])), &pending);
    check_refused(&bench, "UntagResource", &off, &pending);
    assert_eq!(tags_of(&bench, &key).as_array().unwrap().len(), 2);
}

#[test]
fn each_tag_is_validated_in_its_place() {
    let bench = Bench::new();
    let null = |place: &str| {
        format!("Value null at '{place}' failed to satisfy constraint: Member must not be null")
    };
    let tags =
        json!([{"TagKey": "a", "TagValue": "b"}, {"TagKey": "", "TagValue": "x".repeat(257)}, {}]);
    let expected = format!(
        "ValidationException: 4 validation errors detected: Value '' at 'tags.2.member.tagKey' failed to satisfy \
         constraint: Member must have length greater than or equal to 1; Value '{}' at 'tags.2.member.tagValue' failed \
         to satisfy constraint: Member must have length less than or equal to 256; {}; {}",
        "x".repeat(256),
        null("tags.3.member.tagKey"),
        null("tags.3.member.tagValue"),
    );
    check_refused(&bench, "TagResource", &json!({"KeyId": "k", "Tags": tags}), &expected);
    check_refused(&bench, "CreateKey", &json!({"Tags": tags}), &expected);
    let one = |text: String| format!("ValidationException: 1 validation error detected: {text}");
    check_refused(&bench, "TagResource", &json!({"KeyId": "k"}), &one(null("tags")));
    check_refused(&bench, "UntagResource", &json!({"KeyId": "k"}), &one(null("tagKeys")));
    let input = json!({"KeyId": "k", "TagKeys": ["a", null]});
    check_refused(&bench, "UntagResource", &input, &one(null("tagKeys.2.member")));
}

#[test]
fn creating_a_key_with_tags_takes_the_permission_to_tag() {
    let bench = Bench::new();
    let input = r#"{"Tags": [{"TagKey": "a", "TagValue": "b"}]}"#;
    let statement =
        |action: &str| json!({"Effect": "Allow", "Action": action, "Resource": "*"}).to_string();
    let creator = bench.user("creator", &statement("kms:CreateKey"));
    bench.call_as(&creator, "CreateKey", "{}").unwrap();
    let refused = bench.call_as(&creator, "CreateKey", input).unwrap_err().to_string();
    assert!(refused.contains("kms:TagResource on resource: *"), "{refused}");
}

#[test]
fn a_key_has_one_policy_and_there_are_no_custom_key_stores() {
    let bench = Bench::new();
    let key = bench.key();
    let policies = call(&bench, "ListKeyPolicies", &json!({"KeyId": key}));
    assert_eq!(policies, json!({"PolicyNames": ["default"], "Truncated": false}));
    let stores = call(&bench, "DescribeCustomKeyStores", &json!({}));
    assert_eq!(stores, json!({"CustomKeyStores": [], "Truncated": false}));
    let named = json!({"CustomKeyStoreId": "cks-1234567890abcdef0"});
    check_refused(&bench, "DescribeCustomKeyStores", &named, "CustomKeyStoreNotFoundException");
    let unsupported = "UnsupportedOperationException: Custom key stores are not supported: all key material is in the \
                       engine's own store.";
    check_refused(&bench, "CreateCustomKeyStore", &json!({"CustomKeyStoreName": "x"}), unsupported);
    for operation in ["Connect", "Delete", "Disconnect", "Update"] {
        check_refused(&bench, &format!("{operation}CustomKeyStore"), &named, unsupported);
    }
    let nobody = bench.user("nobody", r#"{"Effect": "Deny", "Action": "*", "Resource": "*"}"#);
    for operation in ["DeleteCustomKeyStore", "DescribeCustomKeyStores"] {
        let refused = bench.call_as(&nobody, operation, &named.to_string()).unwrap_err();
        assert!(refused.to_string().contains(&format!("kms:{operation}")), "{refused}");
    }
}
