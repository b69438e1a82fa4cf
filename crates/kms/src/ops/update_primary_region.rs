//! `UpdatePrimaryRegion`: the primary key and one of its replicas change roles. It takes the permission on both keys, and
//! leaves two records, one in the Region of each. Nothing else changes: no material, no policy, no state.

use keytrail_event::Region;

use super::replicate_key::{read_region, region_named};
use super::{Call, Changed, KEY_ID_CHARS};
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Elsewhere, Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming, no_such_key};
use crate::reply::Reply;
use crate::state::{Change, Key};

const OPERATION: &str = "UpdatePrimaryRegion";

pub(super) fn run(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let key = input.text("KeyId", KEY_ID_CHARS);
    let region = read_region(&mut input, "PrimaryRegion");
    let (key, region) = input.finish((key, region))?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let old = call.find(&reference)?;
    let _moved_by = call.authorize("kms:UpdatePrimaryRegion", old)?;
    let to = region_named(&region)?;
    facts.parameters = vec![Fact::KeyId(reference), Fact::Region("PrimaryRegion", to.clone())];
    facts.resources.push(old.arn.clone().into());
    let new = find_replica(call, old, &to)?;
    let moved = call.authorize("kms:UpdatePrimaryRegion", new);
    // A denied call is recorded without what it asked for.
    let _moved_to = moved.inspect_err(|_| *facts = Facts::default())?;
    old.check_enabled()?;
    new.check_enabled()?;
    facts.elements.push(Fact::KeyArn(old.arn.clone()));
    let there = Facts {
        parameters: vec![Fact::KeyArn(new.arn.clone()), Fact::Region("PrimaryRegion", to.clone())],
        elements: vec![Fact::KeyArn(new.arn.clone())],
        resources: vec![new.arn.clone().into()],
        ..Facts::default()
    };
    let place = new.arn.place().clone();
    facts.elsewhere.push(Elsewhere { operation: OPERATION, place, facts: there });
    let change = Change::PrimaryRegionUpdated { key: old.arn.clone(), region: to };
    Ok((Reply::empty(), change))
}

/// The replica that is to be the primary key.
fn find_replica<'a>(call: &Call<'a>, primary: &Key, region: &Region) -> Result<&'a Key, Refusal> {
    let family = primary.check_primary()?;
    if family.primary == *region {
        let text = format!("{} is the primary key already.", primary.arn);
        return Err(Refusal::new(ErrorCode::UnsupportedOperationException, text));
    }
    let replica = primary.in_region(region);
    call.state.keys.get(&replica).ok_or_else(|| no_such_key(replica.as_str()))
}
