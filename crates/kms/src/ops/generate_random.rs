//! `GenerateRandom`: 1 to 1024 random bytes. No key takes part, so the record has neither parameters nor resources.

use zeroize::Zeroizing;

use super::Call;
use crate::error::{ErrorCode, Refusal};
use crate::facts::Facts;
use crate::input::Input;
use crate::parameters::check_grant_tokens_and_recipient;
use crate::reply::Reply;

pub(super) fn run(call: &Call<'_>, input: Input<'_>, _: &mut Facts) -> Result<Reply, Refusal> {
    let bytes = read(input)?;
    let _generated_for = call.authorize_identity("kms:GenerateRandom", "*")?;
    let mut plaintext = Zeroizing::new(vec![0; bytes as usize]);
    call.random.fill(&mut plaintext);
    Ok(Reply::object(plaintext.len()).blob("Plaintext", &plaintext).finish())
}

fn read(mut input: Input<'_>) -> Result<u32, Refusal> {
    check_grant_tokens_and_recipient(&mut input)?;
    let bytes = input.integer("NumberOfBytes", 1..=1024);
    let store = input.optional_text("CustomKeyStoreId", 1..=64);
    match input.finish((bytes, store))? {
        (_, Some(_)) => {
            let text = "CustomKeyStoreId is not supported: there are no custom key stores here.";
            Err(Refusal::new(ErrorCode::UnsupportedOperationException, text))
        }
        (None, None) => Err(Refusal::validation("NumberOfBytes is required.")),
        (Some(bytes), None) => Ok(bytes),
    }
}
