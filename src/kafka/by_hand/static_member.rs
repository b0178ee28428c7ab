//! Taking a static member out of its group by its name.
//!
//! librdkafka leaves with the id that the group has given it. A static member is given its id when it has joined, and
//! a group that waits for another, who may be dead, lets nobody join: who ends meanwhile without its id leaves a
//! member behind that is given partitions, and that the group waits for next. A name is enough for Kafka (KIP-345), and
//! librdkafka, as of 2.12, cannot say it.

use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{ApiKey, GroupId, LeaveGroupRequest, LeaveGroupResponse};
use kafka_protocol::protocol::StrBytes;

use super::connection::{Connection, Trouble};
use super::coordinator::coordinator;
use super::way::Way;

/// The first version of today's encoding; names are in it since the third.
const LEAVE_GROUP: i16 = 4;
/// The coordinator knows no such member: there is nothing to leave.
const UNKNOWN_MEMBER: i16 = 25;

/// A static member of a group, and how to reach the brokers.
#[derive(Clone)]
pub struct Name {
    way: Way,
    group: String,
    instance: String,
}

impl Name {
    /// None where it is not known how brokers are reached without librdkafka.
    pub fn of(
        connection: &crate::kafka::client_config::Connection<'_>,
        group: &str,
        instance: &str,
    ) -> Option<Self> {
        Some(Self {
            way: Way::of(connection)?,
            group: group.to_owned(),
            instance: instance.to_owned(),
        })
    }

    /// Whoever bears this name is no member any more. It may take as long as a broker takes to answer.
    ///
    /// # Errors
    /// If no broker answers, or the group's coordinator does not do it.
    pub async fn leave(&self) -> Result<(), Trouble> {
        let (host, port) = coordinator(&self.way, &self.group).await?;
        let asked = [(ApiKey::LeaveGroup, LEAVE_GROUP)];
        let mut connection = Connection::open(&host, port, &self.way, &asked).await?;
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let member = MemberIdentity::default().with_group_instance_id(Some(text(&self.instance)));
        let request = LeaveGroupRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_members(vec![member]);
        let (key, version) = asked[0];
        let answer: LeaveGroupResponse = connection.ask(key, version, &request).await?;
        let errors = answer.members.iter().map(|member| member.error_code);
        let mut errors = std::iter::once(answer.error_code).chain(errors);
        match errors.find(|error| *error != 0 && *error != UNKNOWN_MEMBER) {
            Some(error) => Err(Trouble::Refused("LeaveGroup", error)),
            None => Ok(()),
        }
    }
}
