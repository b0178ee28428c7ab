//! Who coordinates a group.

use kafka_protocol::messages::{ApiKey, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use super::connection::{Connection, Trouble};
use super::way::Way;
use super::{A_GROUP, FIND_COORDINATOR};

/// Its host and port, as any broker says.
///
/// # Errors
/// If no broker answers, or none knows it yet.
pub async fn coordinator(way: &Way, group: &str) -> Result<(String, u16), Trouble> {
    let asked = [(ApiKey::FindCoordinator, FIND_COORDINATOR)];
    let mut connection = Connection::open_any(way, &asked).await?;
    let request = FindCoordinatorRequest::default()
        .with_key_type(A_GROUP)
        .with_coordinator_keys(vec![StrBytes::from_string(group.to_owned())]);
    let (key, version) = asked[0];
    let answer: FindCoordinatorResponse = connection.ask(key, version, &request).await?;
    let found = answer.coordinators.first();
    let found = found.ok_or_else(|| Trouble::Unreadable("no coordinator".to_owned()))?;
    if found.error_code != 0 {
        return Err(Trouble::Refused("FindCoordinator", found.error_code));
    }
    let port = u16::try_from(found.port);
    let port = port.map_err(|_| Trouble::Unreadable("a port that is none".to_owned()))?;
    Ok((found.host.to_string(), port))
}
