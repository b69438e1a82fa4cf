//! `DisableKey`: no cryptography with the key until it is enabled again.

use super::enable_key::switch;
use super::{Call, Changed};
use crate::facts::Facts;
use crate::input::Input;
use crate::state::Change;

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Changed {
    switch("kms:DisableKey", Change::KeyDisabled, call, input, facts)
}
