//! Which task reads which partition: shares of every source, or, where topics are co-partitioned, the owner of the
//! partition's keys.

use weir_protocol::key_group::{GroupOrder, KeyGroups};
use weir_protocol::plan::Plan;
use weir_protocol::position::{Partition, Positions};

/// The placement of a plan's partitions.
#[derive(Debug, Clone)]
pub struct Placement {
    /// Per source of the plan: the number of its stage's first task, and of its subtasks.
    tasks: Vec<(usize, usize)>,
    /// Where topics are co-partitioned: how keys are divided.
    groups: Option<KeyGroups>,
}

impl Placement {
    /// For a plan; `groups` divide the keys of its keyed operators, if it has any.
    pub fn new(plan: &Plan, groups: Option<KeyGroups>) -> Placement {
        let stages = plan.stages.iter();
        let first_tasks: Vec<usize> = stages
            .scan(0, |next, stage| {
                let first = *next;
                *next += stage.parallelism;
                Some(first)
            })
            .collect();
        let of = |source: usize| {
            let stage = plan.stages.iter().position(|stage| stage.sources.contains(&source)).unwrap_or(0);
            (first_tasks[stage], plan.stages[stage].parallelism)
        };
        let tasks = (0..plan.spec.sources.len()).map(of).collect();
        let groups = groups.filter(|groups| matches!(groups.order, GroupOrder::CoPartitioned { .. }));
        Placement { tasks, groups }
    }

    /// The task that reads a partition that appeared while running.
    pub fn subtask(&self, source: usize, partition: &Partition) -> usize {
        let (first, subtasks) = self.tasks[source];
        first + self.number(partition.number, subtasks)
    }

    fn number(&self, partition: i32, subtasks: usize) -> usize {
        match self.groups {
            Some(KeyGroups { max_parallelism, order: GroupOrder::CoPartitioned { partitions } }) => {
                let ordinal = partition.unsigned_abs() * (max_parallelism / partitions);
                // A partition that is more than the state knows of is refused at the next start.
                if ordinal >= max_parallelism {
                    return 0;
                }
                self.groups.map_or(0, |groups| groups.owner(ordinal, subtasks))
            }
            _ => partition.unsigned_abs() as usize % subtasks,
        }
    }

    /// What a subtask of the source's stage reads at the start: every n-th partition over all topics, so that each has
    /// its share of every source.
    pub fn share(&self, positions: &Positions, source: usize, subtask: usize) -> Positions {
        let (_, subtasks) = self.tasks[source];
        positions
            .iter()
            .enumerate()
            .filter(|(index, (partition, _))| match self.groups {
                Some(_) => self.number(partition.number, subtasks) == subtask,
                None => (index + source) % subtasks == subtask,
            })
            .map(|(_, (partition, position))| (partition.clone(), *position))
            .collect()
    }
}
