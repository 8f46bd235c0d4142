//! A refusal of the broker's authorizer, together with the command that grants what is missing.

use crate::client_error::{ClientError, ErrorCode};
use weir_protocol::permission::{Grantee, Operation, Resource};

/// What a call needs: it is granted where the broker refuses a resource of this kind.
pub(crate) type Needs = (Operation, Resource);

/// Fetching from a topic, and committing offsets of it.
pub(crate) fn reading(topic: &str) -> Needs {
    (Operation::Read, Resource::Topic(topic.to_owned()))
}

/// Producing to a topic.
pub(crate) fn writing(topic: &str) -> Needs {
    (Operation::Write, Resource::Topic(topic.to_owned()))
}

/// Reading and committing the offsets of a group.
pub(crate) fn group(group: &str) -> Needs {
    (Operation::Read, Resource::Group(group.to_owned()))
}

/// Fencing and transactions.
pub(crate) fn transactions(id: &str) -> Needs {
    (Operation::Write, Resource::TransactionalId(id.to_owned()))
}

/// An idempotent producer on brokers before Kafka 2.8; later ones take a permission to write to any topic.
pub(crate) fn idempotence() -> Needs {
    (Operation::IdempotentWrite, Resource::Cluster)
}

impl ClientError {
    /// With the command that grants what is missing, where a permission is missing that is among those needed.
    pub(crate) fn needing(mut self, to: &Grantee, needs: &[Needs]) -> ClientError {
        let missing = |(_, resource): &&Needs| match resource {
            Resource::Topic(_) => self.code == ErrorCode::TOPIC_FORBIDDEN,
            Resource::Group(_) => self.code == ErrorCode::GROUP_FORBIDDEN,
            Resource::TransactionalId(_) => self.code == ErrorCode::TRANSACTIONAL_ID_FORBIDDEN,
            Resource::Cluster => self.code == ErrorCode::CLUSTER_FORBIDDEN,
        };
        if self.granted_by.is_none()
            && let Some((operation, resource)) = needs.iter().find(missing)
        {
            self.text = format!(
                "{} may not {operation} {resource}: {}",
                to.principal,
                self.text.trim_start_matches("Broker: ")
            );
            self.granted_by = Some(to.command(*operation, resource));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_protocol::plan::ClusterSpec;

    #[test]
    fn a_refusal_names_who_may_not_do_what_and_ends_in_the_command_that_allows_it() {
        let mut spec = ClusterSpec { brokers: "b:9093".to_owned(), ..ClusterSpec::default() };
        spec.properties.insert("sasl.username".to_owned(), "orders".to_owned());
        let error = ClientError::from_code(ErrorCode::GROUP_FORBIDDEN);
        let error = error.needing(&Grantee::of(&spec), &[reading("in"), group("g")]).of("reading");
        assert_eq!(
            error.message,
            "reading: User:orders may not Read group g: Group authorization failed (code 30); to allow it: kafka-acls.sh --bootstrap-server b:9093 --add --allow-principal User:orders --operation Read --group g"
        );
    }

    #[test]
    fn an_error_of_another_kind_stays_as_it_is() {
        let to = Grantee::of(&ClusterSpec::default());
        let error = ClientError::from_code(ErrorCode::TIMED_OUT);
        assert_eq!(error.clone().needing(&to, &[reading("in")]), error);
    }
}
