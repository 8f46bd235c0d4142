//! The explanation of a plan as text: a tree of threads, and what goes with it.

use std::fmt::Write;
use weir_protocol::permission::Need;
use weir_protocol::plan::{ClusterExplained, Explanation, Step};

/// The text of `weir explain`.
pub fn text(explained: &Explanation) -> String {
    let mut text = String::new();
    write_text(explained, &mut text).expect("a String takes everything");
    text
}

fn write_text(explained: &Explanation, to: &mut String) -> std::fmt::Result {
    let Explanation { pipeline, guarantee, threads, .. } = explained;
    writeln!(to, "pipeline {pipeline}: {guarantee}, {threads} thread(s)")?;
    for chain in &explained.chains {
        writeln!(to, "\nchain {}: {} subtask(s), a thread each", chain.chain, chain.parallelism)?;
        write_steps(&chain.steps, "", to)?;
    }
    if !explained.exchanges.is_empty() {
        writeln!(to, "\nrecords cross threads:")?;
    }
    for one in &explained.exchanges {
        writeln!(
            to,
            "  exchange {}, {} -> {}, {}: {}",
            one.exchange, one.from, one.to, one.distribution, one.why
        )?;
    }
    writeln!(to, "\nwhat readers are promised:")?;
    for one in &explained.sinks {
        writeln!(to, "  sink {}: {}: {}", one.sink, one.guarantee, one.why)?;
        writeln!(to, "    readers see its output {}", one.visible)?;
    }
    writeln!(to, "\ncheckpoints: {}", explained.checkpoints)?;
    writeln!(to, "decided in: {}", explained.decision)?;
    for cluster in &explained.clusters {
        write_cluster(cluster, to)?;
    }
    for advice in &explained.advice {
        writeln!(to, "\nadvice: {advice}")?;
    }
    Ok(())
}

fn write_steps(steps: &[Step], indent: &str, to: &mut String) -> std::fmt::Result {
    for (at, step) in steps.iter().enumerate() {
        let last = at + 1 == steps.len();
        let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        writeln!(to, "{indent}{branch}{} {} ({})", step.kind, step.name, step.about)?;
        write_steps(&step.then, &format!("{indent}{below}"), to)?;
    }
    Ok(())
}

fn write_cluster(cluster: &ClusterExplained, to: &mut String) -> std::fmt::Result {
    writeln!(to, "\nkafka.{} ({}): consumer group {}", cluster.cluster, cluster.brokers, cluster.group)?;
    if !cluster.transactional_ids.is_empty() {
        writeln!(to, "  transactional ids {}", cluster.transactional_ids.join(" and "))?;
    }
    for (need, title) in [
        (Need::Run, "where an authorizer is at work, the principal needs:"),
        (Need::DeadLetters, "for weir dlq, to look at dead letters and send them back:"),
        (Need::Limits, "and to see limits instead of guessing them:"),
    ] {
        let of_kind = cluster.permissions.iter().filter(|one| one.permission.need == need);
        let of_kind: Vec<_> = of_kind.collect();
        if of_kind.is_empty() {
            continue;
        }
        writeln!(to, "  {title}")?;
        for one in of_kind {
            writeln!(to, "    # {}\n    {}", one.permission.reason, one.command)?;
        }
    }
    Ok(())
}
