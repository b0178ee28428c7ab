//! One object of the input, read and made into a draft, or refused in its place.

use serde::de::DeserializeOwned;

use super::draft::Draft;
use super::input::{Input, Object};
use super::notes::{Notes, Spot};

/// Where, if it is not the whole object, and why nothing can be written.
pub(super) type Refusal = (Option<Spot>, String);

/// Reads an object as `Written` and has a draft made of it, with the place of its spec; what keeps it from that is told.
pub(super) fn attempt<Written: DeserializeOwned>(
    input: &Input,
    index: usize,
    notes: &mut Notes,
    make: impl FnOnce(&Object, Written, &Spot, &mut Notes) -> Result<Draft, Refusal>,
) -> Option<Draft> {
    let object = &input.0[index];
    let whole = Spot::object(index);
    let written: Result<Written, _> = serde_json::from_value(object.value.clone());
    let made = match written {
        Ok(written) => make(object, written, &whole.then("spec"), notes),
        Err(error) => Err((None, format!("it cannot be read: {error}; correct it"))),
    };
    made.map_err(|(spot, why)| notes.not_converted(spot.unwrap_or(whole), why))
        .ok()
}
