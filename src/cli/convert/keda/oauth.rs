//! `sasl: oauthbearer` of a trigger: OAuth 2.0 with client credentials, as `kafka.sasl.oauth` has it.
//!
//! KEDA takes the client's id and secret for `username` and `password`, and all else from the authentication.

use serde_json::{Map, Value, json};

use super::auth::Parameters;
use crate::cli::convert::Wishes;
use crate::cli::convert::draft::Draft;
use crate::cli::convert::environment::Given;
use crate::cli::convert::notes::{Notes, Spot};
use crate::cli::convert::security::REPLACE;

/// The only provider of tokens that is not a cloud's own.
const BEARER: &str = "bearer";

/// `spot` is the field that asks for it.
pub(super) fn write(
    draft: &mut Draft,
    notes: &mut Notes,
    wishes: &Wishes,
    parameters: &Parameters,
    spot: &Spot,
) {
    let said = |name: &str| {
        parameters
            .get(name)
            .map(|(given, spot)| (given, spot.clone()))
    };
    if let Some((given, spot)) = said("saslTokenProvider") {
        match given.word().map(str::trim) {
            Some(BEARER) => {}
            Some(other) => {
                notes.incomplete(spot, format!("tokens of {other} are not to be had here; give the fleet a client of an OpenID Connect provider that the brokers take, or a user with a password, and write spec.kafka.sasl"));
                return;
            }
            None => notes.assumed(spot, "what it says is not in the input; tokens were taken to come from oauthTokenEndpointUri"),
        }
    }
    draft.set("kafka.sasl.mechanism", "OAuthBearer", Some(spot.clone()));
    let place = |given: Option<&Given>| given.map_or_else(|| "nowhere".to_owned(), Given::place);

    let endpoint = said("oauthTokenEndpointUri");
    let from = endpoint.as_ref().map_or(spot, |(_, from)| from).clone();
    let endpoint = endpoint.map(|(given, _)| given);
    let url = endpoint.and_then(Given::word).map(str::to_owned);
    let url = url.unwrap_or_else(|| {
        notes.incomplete(from.clone(), format!("the address that gives tokens stands in {}, and is not known here; write it into spec.kafka.sasl.oauth.tokenEndpoint", place(endpoint)));
        format!("https://{REPLACE}")
    });
    draft.set("kafka.sasl.oauth.tokenEndpoint", url, Some(from));

    let client = said("username");
    let from = client.as_ref().map_or(spot, |(_, from)| from).clone();
    let client = client.map(|(given, _)| given);
    let id = client.and_then(Given::word).map(str::to_owned);
    let id = id.or_else(|| wishes.sasl_username.clone()).unwrap_or_else(|| {
        notes.incomplete(from.clone(), format!("the client's id stands in {}, and Secrets are not read; in spec.kafka.sasl.oauth.clientId it is written as it is: put it in place of {REPLACE}, or give --sasl-username", place(client)));
        REPLACE.to_owned()
    });
    draft.set("kafka.sasl.oauth.clientId", id, Some(from));

    let secret = said("password");
    let from = secret.as_ref().map_or(spot, |(_, from)| from).clone();
    let reference = match secret {
        Some((Given::Secret { name, key }, _)) => json!({ "name": name, "key": key }),
        _ => {
            notes.incomplete(from.clone(), format!("no Secret is named that has the client's secret; put it into one, and write its name and key in place of {REPLACE} in spec.kafka.sasl.oauth.clientSecret"));
            json!({ "name": REPLACE, "key": "client-secret" })
        }
    };
    draft.set("kafka.sasl.oauth.clientSecret", reference, Some(from));

    if let Some((given, from)) = said("scopes") {
        match given.word() {
            Some(words) => {
                // With blanks, as OAuth has them; KEDA has commas.
                let words = words.split(',').map(str::trim).filter(|word| !word.is_empty());
                let scope = words.collect::<Vec<_>>().join(" ");
                if !scope.is_empty() {
                    draft.set("kafka.sasl.oauth.scope", scope, Some(from));
                }
            }
            None => notes.incomplete(from, format!("the scopes stand in {}, and are not known here; write them, with blanks between, into spec.kafka.sasl.oauth.scope", given.place())),
        }
    }
    if let Some((given, from)) = said("oauthExtensions") {
        match given.word() {
            Some(words) => {
                let pairs = words.split(',').filter_map(|pair| pair.split_once('='));
                let pairs: Map<String, Value> = pairs
                    .map(|(name, value)| (name.trim().to_owned(), json!(value.trim())))
                    .collect();
                if !pairs.is_empty() {
                    draft.set("kafka.sasl.oauth.extensions", pairs, Some(from));
                }
            }
            None => notes.incomplete(from, format!("the extensions stand in {}, and are not known here; write them into spec.kafka.sasl.oauth.extensions", given.place())),
        }
    }
}
