//! Metrics as text: OpenMetrics 1.0.0, or Prometheus' own form for clients that ask for that.
//!
//! Written by hand, because what is wanted is a snapshot of counters that live elsewhere, by one list of metrics, in two
//! forms; see docs/decisions/0017.

use super::catalogue::{ALL, Kind, Metric};
use std::collections::BTreeMap;
use std::fmt::Write;
use weir_control::MetricsFormat;
use weir_runtime::meters::{BUCKETS_MS, BucketCounts};

/// Collects samples family by family.
pub struct Exposition {
    format: MetricsFormat,
    samples: BTreeMap<&'static str, String>,
}

impl Exposition {
    /// Without samples.
    pub fn new(format: MetricsFormat) -> Exposition {
        Exposition { format, samples: BTreeMap::new() }
    }

    /// One sample; the values of the labels are in the order of the catalogue.
    pub fn add(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        self.line(metric, &metric.sample_name(), labels, None, value);
    }

    /// A whole number.
    pub fn count(&mut self, metric: &Metric, labels: &[&str], value: u64) {
        self.add(metric, labels, value as f64);
    }

    /// Durations in buckets.
    pub fn histogram(&mut self, metric: &Metric, labels: &[&str], counts: &BucketCounts) {
        let bucket = format!("{}_bucket", metric.name);
        for (bound, count) in BUCKETS_MS.iter().zip(&counts.at_most) {
            // `{:?}` writes 1.0, which OpenMetrics wants, not 1.
            let le = format!("{:?}", *bound as f64 / 1000.0);
            self.line(metric, &bucket, labels, Some(&le), *count as f64);
        }
        self.line(metric, &bucket, labels, Some("+Inf"), counts.count as f64);
        self.line(metric, &format!("{}_count", metric.name), labels, None, counts.count as f64);
        self.line(metric, &format!("{}_sum", metric.name), labels, None, counts.sum.as_secs_f64());
    }

    fn line(&mut self, metric: &Metric, name: &str, values: &[&str], le: Option<&str>, value: f64) {
        assert_eq!(metric.labels.len(), values.len(), "{} has labels {:?}", metric.name, metric.labels);
        let text = self.samples.entry(metric.name).or_default();
        text.push_str(name);
        let labels = metric.labels.iter().copied().zip(values.iter().copied()).chain(le.map(|le| ("le", le)));
        let mut separator = '{';
        for (label, value) in labels {
            text.push(separator);
            text.push_str(label);
            text.push_str("=\"");
            push_escaped(text, value);
            text.push('"');
            separator = ',';
        }
        if separator == ',' {
            text.push('}');
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, " {value}");
    }

    /// The text, with all families of the catalogue, those without samples too.
    pub fn finish(self) -> String {
        let mut text = String::new();
        for metric in ALL {
            let (name, kind) = match self.format {
                MetricsFormat::OpenMetrics => (metric.name.to_owned(), metric.kind.word()),
                // There a name is that of the samples, and an info is a gauge.
                MetricsFormat::PrometheusText => {
                    let kind = if metric.kind == Kind::Info { Kind::Gauge } else { metric.kind };
                    (metric.sample_name(), kind.word())
                }
            };
            let _ = writeln!(text, "# TYPE {name} {kind}");
            if self.format == MetricsFormat::OpenMetrics && !metric.unit.is_empty() {
                let _ = writeln!(text, "# UNIT {name} {}", metric.unit);
            }
            let _ = writeln!(text, "# HELP {name} {}", metric.help);
            text.push_str(self.samples.get(metric.name).map_or("", String::as_str));
        }
        if self.format == MetricsFormat::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }
}

/// Backslashes, quotes and line ends of a label's value.
fn push_escaped(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue;
    use super::*;
    use std::time::Duration;
    use weir_runtime::meters::DurationBuckets;

    fn lines(exposition: Exposition, of: &str) -> Vec<String> {
        let text = exposition.finish();
        text.lines().filter(|line| line.contains(of)).map(str::to_owned).collect()
    }

    #[test]
    fn a_counter_is_written_in_both_forms() {
        let written = |format| {
            let mut exposition = Exposition::new(format);
            exposition.count(&catalogue::SOURCE_RECORDS, &["a", "say \"x\"\\\n"], 3);
            lines(exposition, "weir_source_records")
        };
        let sample = r#"weir_source_records_total{pipeline="a",source="say \"x\"\\\n"} 3"#;
        let help = "Records read.";
        assert_eq!(
            written(MetricsFormat::OpenMetrics),
            [
                "# TYPE weir_source_records counter",
                "# UNIT weir_source_records records",
                &format!("# HELP weir_source_records {help}"),
                sample
            ]
        );
        assert_eq!(
            written(MetricsFormat::PrometheusText),
            [
                "# TYPE weir_source_records_total counter",
                &format!("# HELP weir_source_records_total {help}"),
                sample
            ]
        );
    }

    #[test]
    fn a_histogram_has_a_line_per_bucket_its_count_and_its_sum() {
        let durations = DurationBuckets::default();
        durations.add(Duration::from_millis(700));
        durations.add(Duration::from_secs(100));
        let mut exposition = Exposition::new(MetricsFormat::OpenMetrics);
        exposition.histogram(&catalogue::CHECKPOINT_DURATION, &["p"], &durations.read());
        let lines = lines(exposition, "weir_checkpoint_duration_seconds_");
        assert_eq!(lines.len(), BUCKETS_MS.len() + 3);
        let bucket = |le: &str, count| {
            format!("weir_checkpoint_duration_seconds_bucket{{pipeline=\"p\",le=\"{le}\"}} {count}")
        };
        for expected in [bucket("0.5", 0), bucket("1.0", 1), bucket("+Inf", 2)] {
            assert!(lines.contains(&expected), "{expected} in {lines:?}");
        }
        assert_eq!(lines[lines.len() - 1], "weir_checkpoint_duration_seconds_sum{pipeline=\"p\"} 100.7");
    }

    #[test]
    fn only_open_metrics_says_where_it_ends() {
        let ends = |format| Exposition::new(format).finish().ends_with("# EOF\n");
        assert!(ends(MetricsFormat::OpenMetrics) && !ends(MetricsFormat::PrometheusText));
    }
}
