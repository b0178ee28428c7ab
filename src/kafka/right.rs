//! What requests take of Kafka's ACLs. A broker that refuses says only that it does, so whoever asked names the right.

use std::fmt;

/// What an ACL allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Of records, and of a group: to be a member, and to commit.
    Read,
    /// Of records.
    Write,
    /// Of a topic.
    Create,
    /// Of a topic's records.
    Delete,
    /// That it is there, and its offsets.
    Describe,
    /// Its settings.
    DescribeConfigs,
}

/// What an ACL is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A topic of this name.
    Topic(String),
    /// A consumer group of this name.
    Group(String),
    /// The transactional id of a producer.
    TransactionalId(String),
}

/// An operation on a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    operation: Operation,
    resource: Resource,
}

impl Right {
    /// On a topic.
    pub fn topic(operation: Operation, name: &str) -> Self {
        let resource = Resource::Topic(name.to_owned());
        Self {
            operation,
            resource,
        }
    }

    /// On a consumer group.
    pub fn group(operation: Operation, name: &str) -> Self {
        let resource = Resource::Group(name.to_owned());
        Self {
            operation,
            resource,
        }
    }

    /// On a transactional id.
    pub fn transactional_id(operation: Operation, name: &str) -> Self {
        let resource = Resource::TransactionalId(name.to_owned());
        Self {
            operation,
            resource,
        }
    }

    /// What to do where it is missing, for a sentence that goes on with another way.
    pub fn remedy(&self) -> String {
        let (flag, name) = match &self.resource {
            Resource::Topic(name) => ("topic", name),
            Resource::Group(name) => ("group", name),
            Resource::TransactionalId(name) => ("transactional-id", name),
        };
        format!(
            "give this user the right (kafka-acls --add --allow-principal User:NAME --operation {:?} --{flag} {name})",
            self.operation
        )
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = match &self.resource {
            Resource::Topic(name) => ("topic", name),
            Resource::Group(name) => ("group", name),
            Resource::TransactionalId(name) => ("transactional id", name),
        };
        write!(f, "{:?} on {kind} {name}", self.operation)
    }
}

/// That Kafka refuses something: in its words, with the right that is missing, where that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Kafka's words.
    pub said: String,
    /// What was missing.
    pub right: Option<Right>,
}

impl Denial {
    /// What to do, for a sentence that goes on with another way.
    pub fn remedy(&self) -> String {
        match &self.right {
            Some(right) => right.remedy(),
            None => "give this user the right".to_owned(),
        }
    }
}

impl From<String> for Denial {
    fn from(said: String) -> Self {
        Self { said, right: None }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.right {
            Some(right) => write!(f, "{right} is not allowed ({})", self.said),
            None => f.write_str(&self.said),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_right_and_how_it_is_given() {
        let refused = |right| Denial {
            said: "Broker: no".to_owned(),
            right,
        };
        let id = Right::transactional_id(Operation::Write, "drover.redrive.dead");
        for (right, says, flags) in [
            (
                Right::topic(Operation::DescribeConfigs, "orders"),
                "DescribeConfigs on topic orders is not allowed (Broker: no)",
                "--operation DescribeConfigs --topic orders)",
            ),
            (
                Right::group(Operation::Read, "shop.orders"),
                "Read on group shop.orders is not allowed (Broker: no)",
                "--operation Read --group shop.orders)",
            ),
            (
                id,
                "Write on transactional id drover.redrive.dead is not allowed (Broker: no)",
                "--operation Write --transactional-id drover.redrive.dead)",
            ),
        ] {
            let refused = refused(Some(right));
            assert_eq!(refused.to_string(), says);
            assert!(refused.remedy().ends_with(flags), "{}", refused.remedy());
        }
        assert_eq!(refused(None).to_string(), "Broker: no");
        assert_eq!(refused(None).remedy(), "give this user the right");
    }
}
