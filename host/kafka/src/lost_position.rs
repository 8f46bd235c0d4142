//! A position at which nothing can be read any more: records were deleted, or the topic is another one.

use weir_protocol::connector::ConnectorError;
use weir_protocol::position::Partition;
use weir_protocol::remedy::{Remedy, ResetTo};

/// The refusal. `range` is what the partition has, where the broker says so; `text` is what the client said.
pub(crate) fn refused(
    partition: Partition,
    offset: i64,
    range: Option<(i64, i64)>,
    text: Option<&str>,
) -> ConnectorError {
    let to = match range {
        Some((_, high)) if offset > high => ResetTo::Latest,
        _ => ResetTo::Earliest,
    };
    let mut found = range.map_or_else(
        || "the broker does not say which".to_owned(),
        |(low, high)| format!("it has {low} to {high}"),
    );
    text.into_iter().for_each(|text| found += &format!("; {text}"));
    ConnectorError::refused(format!(
        "topic {} partition {}: offset {offset} is not there any more ({found}). Records were deleted or lost; going on would skip or repeat some",
        partition.topic, partition.number
    ))
    .helped_by(Remedy::Reset { to, only: Some(partition) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_deleted_is_skipped_by_a_reset_to_the_first_record_and_what_never_came_by_one_to_the_end() {
        let to = |offset, range| match refused(Partition::new("in", 1), offset, range, None).remedy {
            Some(remedy) => match *remedy {
                Remedy::Reset { to, only } => (to, only),
                other => panic!("{other:?}"),
            },
            None => panic!("no command"),
        };
        let only = Some(Partition::new("in", 1));
        assert_eq!(to(3, Some((5, 10))), (ResetTo::Earliest, only.clone()));
        assert_eq!(to(11, Some((5, 10))), (ResetTo::Latest, only.clone()));
        assert_eq!(to(3, None), (ResetTo::Earliest, only));
    }
}
