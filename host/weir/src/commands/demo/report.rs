//! The table at the end, and how everybody can check it.

use super::pipelines::Place;
use super::readers::{FULL_SPEED, NOTHING, Readers};
use super::recoveries::Recoveries;
use super::story::line;
use super::tally::Tally;
use std::time::Duration;

/// What is told at the end.
pub struct Report<'a> {
    /// What the output says.
    pub tally: &'a Tally,
    /// Swaps that were completed, as the server remembers them.
    pub swapped: usize,
    /// Swaps that took themselves back.
    pub rolled_back: usize,
    /// Deaths of the host.
    pub recoveries: &'a Recoveries,
    /// What a reader saw.
    pub readers: &'a Readers,
}

impl Report<'_> {
    /// The table.
    pub fn print(&self, place: &Place<'_>) {
        let tally = self.tally;
        let row = |name: &str, value: &str, more: &str| {
            line(format!("{name:<16}{value:>10} {more}").trim_end());
        };
        line("");
        row("records in", &tally.expected.to_string(), "");
        let versions = [1, 2, 3].map(|version| tally.by(version).to_string()).join(" / ");
        row("records out", &tally.found.to_string(), &format!("by version 1 / 2 / 3: {versions}"));
        row("lost", &tally.lost.to_string(), "");
        row("duplicated", &tally.duplicated.to_string(), "");
        row("keys", &tally.keys.to_string(), "");
        row("counted wrong", &tally.wrong_counts.to_string(), "");
        row("swaps", &self.swapped.to_string(), "");
        row("rolled back", &self.rolled_back.to_string(), "");
        row("kill -9", &self.recoveries.kills.to_string(), "");
        let longest = milliseconds(self.recoveries.longest());
        row(
            "time to recover",
            &milliseconds(self.recoveries.median()),
            &format!("median, {longest} longest"),
        );
        let (what, gap) = self.readers.longest_gap().unzip();
        let what = what.unwrap_or("-");
        row("longest gap", &milliseconds(gap), &format!("between two records, during {what}"));
        let others = [NOTHING, FULL_SPEED].map(|what| milliseconds(self.readers.gap_while(what)));
        let more = format!("while {NOTHING}; {} during {FULL_SPEED}", others[1]);
        row("", &others[0], &more);
        let reader = match place.kafka {
            None => "a reader that looks for published files every 2 ms",
            Some(_) => "a consumer of committed records",
        };
        line(&format!("\nThe gap is the time in which {reader} sees nothing new.\nSee for yourself:"));
        see_for_yourself(tally, place);
    }
}

fn see_for_yourself(tally: &Tally, place: &Place<'_>) {
    let files = format!("{}/*.jsonl", place.output().display());
    let expected = tally.expected;
    line(&format!("  cat {files} | wc -l    # {expected}"));
    line(&format!("  cat {files} | cut -d, -f1,2 | sed 's/ v2\"/\"/' | sort | uniq -d | wc -l    # 0"));
    line(&format!("  cat {files} | grep -c ' v3\"'    # 0: nobody has seen a record of version 3"));
    line(&format!(
        "  weir serve --data-dir {}/data    # swaps and events are still there",
        place.directory.display()
    ));
    line(&format!("  rm -r {}", place.directory.display()));
}

fn milliseconds(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{} ms", time.as_millis()))
}
