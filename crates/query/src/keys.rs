//! Which keys a user means: an id, an ARN or an alias turned into the ARNs of keys.
//!
//! Records name keys in many ways, the column `key_arn` always by ARN; so the question is turned into ARNs first and
//! filters by them, which prunes. An id can belong to several ARNs (a multi-Region key has one in each region), an
//! alias can have pointed to several keys over time and stands for another key in each account and region: the answer
//! is all of them, for an auditor who asks about an alias must not miss the key it was pointed away from.

use arrow::{array::AsArray, compute::cast, datatypes::DataType};
use datafusion::{common::ParamValues, common::ScalarValue};
use keytrail_event::Arn;

use crate::{QueryError, Session};

/// Keys by the end of their ARN.
const BY_ID: &str =
    "SELECT DISTINCT key FROM key_events WHERE ends_with(key, $ending) ORDER BY key";

/// Keys by an alias: where it was created or pointed to a key, and where a call named its key by it. Calls name an alias
/// by name or by ARN, so an alias ARN is looked for by its name in its own account and region. `strpos` first: it is
/// cheaper than to parse the JSON of every event.
const BY_ALIAS: &str = "
    SELECT DISTINCT key FROM key_events
    WHERE strpos(request_parameters, $alias) > 0
      AND error_code IS NULL
      AND (request_parameters->>'keyId' = $alias
           OR ends_with(request_parameters->>'keyId', concat(':', $alias))
           OR event_name IN ('CreateAlias', 'UpdateAlias') AND request_parameters->>'aliasName' = $alias)
      AND ($place IS NULL OR starts_with(key, $place))
    ORDER BY key";

/// See [`Session::resolve_key`].
pub(crate) async fn resolve(session: &Session, key: &str) -> Result<Vec<String>, QueryError> {
    let found = match Arn::parse(key) {
        Ok(arn) if arn.resource().starts_with("alias/") => {
            let place = key.strip_suffix(arn.resource()).unwrap_or_default();
            by_alias(session, arn.resource(), Some(place)).await?
        }
        // Also an ARN that is no key's: it matches nothing, which is the right answer.
        Ok(_) => return Ok(vec![key.to_owned()]),
        Err(_) if key.starts_with("alias/") => by_alias(session, key, None).await?,
        Err(_) => by_id(session, key).await?,
    };
    if found.is_empty() { Err(QueryError::UnknownKey { key: key.to_owned() }) } else { Ok(found) }
}

async fn by_id(session: &Session, id: &str) -> Result<Vec<String>, QueryError> {
    keys(session, BY_ID, [("ending", Some(format!(":key/{id}")))]).await
}

async fn by_alias(
    session: &Session,
    alias: &str,
    place: Option<&str>,
) -> Result<Vec<String>, QueryError> {
    let values = [("alias", Some(alias.to_owned())), ("place", place.map(str::to_owned))];
    keys(session, BY_ALIAS, values).await
}

async fn keys<const N: usize>(
    session: &Session,
    sql: &str,
    values: [(&str, Option<String>); N],
) -> Result<Vec<String>, QueryError> {
    let values = values.map(|(name, value)| (name.to_owned(), ScalarValue::Utf8View(value).into()));
    let answer = session.run(sql, ParamValues::Map(values.into())).await?;
    let mut keys = Vec::new();
    for batch in answer.collect().await? {
        let column = cast(batch.column(0), &DataType::Utf8)?;
        keys.extend(column.as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    Ok(keys)
}
