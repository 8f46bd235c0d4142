//! The tasks of a plan and the channels between them: every subtask of a stage has an inbox, and an end of each
//! exchange that begins in its stage.

use crate::credit::Credit;
use crate::exchange::{ChannelSender, ExchangeSender, Parcel};
use crate::inbox::Inbox;
use crate::waits::Waits;
use crossbeam_channel::{Sender, unbounded};
use std::sync::Arc;
use weir_protocol::key_group::KeyGroups;
use weir_protocol::plan::Plan;

/// One subtask of one stage: a thread.
pub struct Wired {
    /// The stage of the plan.
    pub stage: usize,
    /// Which of the stage's subtasks.
    pub subtask: usize,
    /// What comes in.
    pub inbox: Inbox,
    /// The exchanges that begin here, by index in the plan.
    pub exchanges: Vec<(usize, ExchangeSender)>,
}

/// All subtasks of all stages, in the order of their numbers, which is the order of `waits` too.
pub fn wire(plan: &Plan, groups: KeyGroups, waits: &[Waits]) -> Vec<Wired> {
    let mut tasks = Vec::new();
    // Per stage and subtask the way into its inbox.
    let mut inboxes: Vec<Vec<Sender<Parcel>>> = Vec::new();
    // Per exchange, receiver and sender the bytes that wait.
    let mut credits: Vec<Vec<Vec<Arc<Credit>>>> = vec![Vec::new(); plan.exchanges.len()];
    for (number, stage) in plan.stages.iter().enumerate() {
        let mut senders = Vec::new();
        for subtask in 0..stage.parallelism {
            let (to, from) = unbounded();
            senders.push(to);
            let mut channels = Vec::new();
            for exchange in &stage.exchanges_in {
                let from_parallelism = plan.stages[plan.exchanges[*exchange].from_stage].parallelism;
                let of_receiver: Vec<Arc<Credit>> = (0..from_parallelism)
                    .map(|_| {
                        Arc::new(Credit::new(plan.spec.channel_bytes_max, plan.spec.checkpoint.interval))
                    })
                    .collect();
                for (sender, credit) in of_receiver.iter().enumerate() {
                    channels.push((*exchange, sender, credit.clone()));
                }
                credits[*exchange].push(of_receiver);
            }
            let inbox = Inbox::new(from, channels, !stage.sources.is_empty());
            tasks.push(Wired { stage: number, subtask, inbox, exchanges: Vec::new() });
        }
        inboxes.push(senders);
    }
    for (task, waits) in tasks.iter_mut().zip(waits) {
        for index in &plan.stages[task.stage].exchanges_out {
            let exchange = plan.exchanges[*index];
            let channels = (0..plan.stages[exchange.to_stage].parallelism).map(|receiver| ChannelSender {
                inbox: inboxes[exchange.to_stage][receiver].clone(),
                input: first_input(plan, *index) + task.subtask,
                credit: credits[*index][receiver][task.subtask].clone(),
            });
            let sender = ExchangeSender::new(
                channels.collect(),
                exchange.distribution,
                groups,
                task.subtask,
                waits.clone(),
            );
            task.exchanges.push((*index, sender));
        }
    }
    tasks
}

/// The receiving inboxes number their inputs exchange by exchange, sender by sender.
fn first_input(plan: &Plan, exchange: usize) -> usize {
    let stage = &plan.stages[plan.exchanges[exchange].to_stage];
    let before = stage.exchanges_in.iter().take_while(|other| **other != exchange);
    before.map(|other| plan.stages[plan.exchanges[*other].from_stage].parallelism).sum()
}
