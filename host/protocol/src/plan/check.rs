//! Judges a specification: all problems at once, each with the path of its key.

use super::*;
use std::collections::BTreeSet;
use std::time::Duration;

impl Plan {
    /// Checks a specification. `ports` tells the output ports of each operator, in the order of `spec.operators`;
    /// `None` where they are not known yet (`weir validate` without the components): then every port name is taken.
    pub fn check(spec: PipelineSpec, ports: &[Option<Ports>]) -> Result<Plan, Vec<Problem>> {
        let mut checker = Checker { spec: &spec, ports, problems: Vec::new() };
        checker.names();
        checker.numbers();
        checker.clusters();
        checker.guarantee();
        let edges = checker.edges();
        let dead_letters = checker.dead_letters();
        let order = checker.order();
        let problems = checker.problems;
        if !problems.is_empty() {
            return Err(problems);
        }
        let (from_source, from_operator) = edges;
        Ok(Plan { spec, from_source, from_operator, dead_letters, order })
    }
}

type Edges = (Vec<Vec<Downstream>>, Vec<Vec<Vec<Downstream>>>);

struct Checker<'a> {
    spec: &'a PipelineSpec,
    ports: &'a [Option<Ports>],
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn problem(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem { path: path.into(), message: message.into() });
    }

    fn names(&mut self) {
        let spec = self.spec;
        let fits = |name: &str| {
            !name.is_empty()
                && name.len() <= 100
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        if !fits(&spec.name) {
            self.problem("name", format!("{:?}: expected 1 to 100 of a-z A-Z 0-9 _ -", spec.name));
        }
        let mut seen = BTreeSet::new();
        let sources = spec.sources.iter().map(|s| ("source", &s.name));
        let operators = spec.operators.iter().map(|o| ("operator", &o.name));
        let sinks = spec.sinks.iter().map(|s| ("sink", &s.name));
        for (kind, name) in sources.chain(operators).chain(sinks) {
            if !fits(name) {
                self.problem(format!("{kind}.{name}"), "expected a name of 1 to 100 of a-z A-Z 0-9 _ -");
            }
            if !seen.insert(name) {
                self.problem(
                    format!("{kind}.{name}"),
                    "the name is used twice; sources, operators and sinks share one space of names",
                );
            }
        }
        if spec.sources.is_empty() {
            self.problem("source", "there is none; add a section [source.NAME]");
        }
        if spec.sinks.iter().all(|sink| sink.inputs.is_empty()) {
            self.problem("sink", "no sink has an input; add a section [sink.NAME] with input = \"...\"");
        }
    }

    fn numbers(&mut self) {
        let spec = self.spec;
        let checkpoint = &spec.checkpoint;
        if spec.parallelism == 0 || spec.parallelism > 256 {
            self.problem("parallelism", format!("{}: expected 1 to 256", spec.parallelism));
        }
        if checkpoint.interval < Duration::from_millis(200) {
            self.problem("checkpoint.interval", format!("{:?}: expected at least 200ms (two transactional ids need that long to be made ready again)", checkpoint.interval));
        }
        if checkpoint.timeout.is_zero() {
            self.problem("checkpoint.timeout", "expected more than 0");
        }
        if checkpoint.max_concurrent != 1 {
            self.problem("checkpoint.max_concurrent", format!("{}: expected 1: an epoch is one transaction and epochs are decided in order, so a second one in flight would gain nothing", checkpoint.max_concurrent));
        }
        if checkpoint.retain < 2 {
            self.problem("checkpoint.retain", format!("{}: expected at least 2", checkpoint.retain));
        }
        for operator in &spec.operators {
            let (path, limits) = (format!("operator.{}", operator.name), &operator.limits);
            if !(operator.breaker.share > 0.0 && operator.breaker.share <= 1.0) {
                self.problem(format!("{path}.breaker.share"), "expected more than 0 and at most 1");
            }
            if limits.batch_rows_max == 0 || limits.batch_rows_max > 1 << 20 {
                self.problem(format!("{path}.limits.batch_rows_max"), "expected 1 to 1048576");
            }
            if limits.batch_bytes_max == 0 || limits.batch_bytes_max > 1 << 30 {
                self.problem(format!("{path}.limits.batch_bytes_max"), "expected 1B to 1GiB");
            }
            if limits.call.is_zero() || limits.search < limits.call {
                self.problem(
                    format!("{path}.limits"),
                    "expected call above 0 and search at least as long as call",
                );
            }
        }
    }

    fn clusters(&mut self) {
        let spec = self.spec;
        let sources = spec.sources.iter().filter_map(|s| match &s.kind {
            SourceKind::Kafka { cluster, topics, .. } => {
                Some((format!("source.{}", s.name), cluster, topics.is_empty()))
            }
            _ => None,
        });
        let sinks = spec.sinks.iter().filter_map(|s| match &s.kind {
            SinkKind::Kafka { cluster, topic, .. } => {
                Some((format!("sink.{}", s.name), cluster, topic.is_empty()))
            }
            _ => None,
        });
        for (path, cluster, no_topic) in sources.chain(sinks) {
            if !spec.clusters.contains_key(cluster) {
                self.problem(format!("{path}.cluster"), format!("there is no section [kafka.{cluster}]"));
            }
            if no_topic {
                self.problem(format!("{path}.topic"), "expected a topic");
            }
        }
        for (name, cluster) in &spec.clusters {
            let fits = |broker: &str| {
                let (host, port) = broker.trim().rsplit_once(':').unwrap_or_default();
                !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
            };
            if let Some(broker) = cluster.brokers.split(',').find(|broker| !fits(broker)) {
                let found = broker.trim();
                self.problem(
                    format!("kafka.{name}.brokers"),
                    format!("{found:?}: expected host:port, several with commas"),
                );
            }
        }
        self.loops();
        self.timeouts();
        let mut topics = BTreeSet::new();
        for source in &spec.sources {
            if let SourceKind::Kafka { cluster, topics: read, .. } = &source.kind {
                for topic in read {
                    if !topics.insert((cluster, topic)) {
                        self.problem(
                            format!("source.{}.topics", source.name),
                            format!(
                                "topic {topic} is read twice; a pipeline keeps one position per partition"
                            ),
                        );
                    }
                }
            }
        }
    }

    /// A pipeline that reads what it writes would never end and grow for ever.
    fn loops(&mut self) {
        let spec = self.spec;
        for sink in &spec.sinks {
            let SinkKind::Kafka { cluster, topic, .. } = &sink.kind else { continue };
            let reader = spec.sources.iter().find(|source| match &source.kind {
                SourceKind::Kafka { cluster: read, topics, .. } => read == cluster && topics.contains(topic),
                _ => false,
            });
            if let Some(reader) = reader {
                self.problem(format!("sink.{}.topic", sink.name), format!("source {} reads topic {topic}: the pipeline would feed on its own output for ever; write to another topic", reader.name));
            }
        }
    }

    fn timeouts(&mut self) {
        let checkpoint = &self.spec.checkpoint;
        for (name, cluster) in &self.spec.clusters {
            let Some(transaction) = cluster.transaction_timeout else { continue };
            if checkpoint.interval + checkpoint.timeout > transaction.mul_f64(0.8) {
                self.problem(format!("kafka.{name}.transaction_timeout"), format!("{transaction:?}: checkpoint.interval + checkpoint.timeout ({:?}) must be at most 0.8 of it", checkpoint.interval + checkpoint.timeout));
            }
        }
    }

    fn guarantee(&mut self) {
        if self.spec.guarantee == Guarantee::AtMostOnce {
            self.at_most_once();
        }
        if self.spec.guarantee != Guarantee::ExactlyOnce {
            return;
        }
        let clusters: BTreeSet<&String> = self
            .spec
            .sinks
            .iter()
            .filter_map(|sink| match &sink.kind {
                SinkKind::Kafka { cluster, .. } => Some(cluster),
                _ => None,
            })
            .collect();
        if clusters.len() > 1 {
            let named: Vec<&str> = clusters.iter().map(|name| name.as_str()).collect();
            self.problem("guarantee", format!("exactly_once with sinks on several clusters ({}): a transaction lives in one cluster; use one, or guarantee = \"at_least_once\"", named.join(", ")));
        }
    }

    /// Without checkpoints there is no moment at which a staged file could be published.
    fn at_most_once(&mut self) {
        for sink in &self.spec.sinks {
            if matches!(sink.kind, SinkKind::Files { .. }) {
                self.problems.push(Problem {
                    path: format!("sink.{}", sink.name),
                    message: "a files sink publishes at a checkpoint, and guarantee = \"at_most_once\" has none; use exactly_once or at_least_once".to_owned(),
                });
            }
        }
    }

    fn upstream(&mut self, path: &str, input: &str) -> Option<Upstream> {
        let spec = self.spec;
        if let Some(source) = spec.sources.iter().position(|source| source.name == input) {
            return Some(Upstream::Source(source));
        }
        let (name, port) = match input.split_once('.') {
            Some((name, port)) => (name, Some(port)),
            None => (input, None),
        };
        let Some(operator) = spec.operators.iter().position(|operator| operator.name == name) else {
            let names: Vec<&str> = spec
                .sources
                .iter()
                .map(|s| s.name.as_str())
                .chain(spec.operators.iter().map(|o| o.name.as_str()))
                .collect();
            self.problem(
                path,
                format!("there is no source or operator {name:?}; there are: {}", names.join(", ")),
            );
            return None;
        };
        let ports = self.ports.get(operator).and_then(Option::as_ref);
        match (port, ports) {
            (None, Some(ports)) if ports.len() > 1 => {
                self.problem(
                    path,
                    format!(
                        "operator {name} has several output ports; name one: {}",
                        with_ports(name, ports)
                    ),
                );
                None
            }
            (None, Some(ports)) if ports.is_empty() => {
                self.problem(path, format!("operator {name} has no output port"));
                None
            }
            (None, _) => Some(Upstream::Operator(operator, 0)),
            (Some(_), None) => Some(Upstream::Operator(operator, 0)),
            (Some(port), Some(ports)) => match ports.iter().position(|known| known == port) {
                Some(index) => Some(Upstream::Operator(operator, index)),
                None => {
                    self.problem(
                        path,
                        format!(
                            "operator {name} has no output port {port:?}; there are: {}",
                            with_ports(name, ports)
                        ),
                    );
                    None
                }
            },
        }
    }

    fn edges(&mut self) -> Edges {
        let spec = self.spec;
        let port_counts =
            (0..spec.operators.len()).map(|i| self.ports.get(i).and_then(Option::as_ref).map_or(1, Vec::len));
        let mut from_source = vec![Vec::new(); spec.sources.len()];
        let mut from_operator: Vec<Vec<Vec<Downstream>>> =
            port_counts.map(|count| vec![Vec::new(); count]).collect();
        let operators = spec
            .operators
            .iter()
            .enumerate()
            .map(|(i, o)| (Downstream::Operator(i), format!("operator.{}.input", o.name), &o.inputs));
        let sinks = spec
            .sinks
            .iter()
            .enumerate()
            .map(|(i, s)| (Downstream::Sink(i), format!("sink.{}.input", s.name), &s.inputs));
        for (downstream, path, inputs) in operators.chain(sinks) {
            if inputs.is_empty() && matches!(downstream, Downstream::Operator(_)) {
                self.problem(path.clone(), "expected the name of a source or operator");
            }
            for input in inputs {
                match self.upstream(&path, input) {
                    Some(Upstream::Source(source)) => from_source[source].push(downstream),
                    Some(Upstream::Operator(operator, port)) => {
                        if let Some(consumers) = from_operator[operator].get_mut(port) {
                            consumers.push(downstream);
                        }
                    }
                    None => {}
                }
            }
        }
        for (source, consumers) in spec.sources.iter().zip(&from_source) {
            if consumers.is_empty() {
                self.problem(
                    format!("source.{}", source.name),
                    "nothing reads it; remove it or name it as an input",
                );
            }
        }
        (from_source, from_operator)
    }

    fn dead_letters(&mut self) -> Vec<Option<usize>> {
        let spec = self.spec;
        let mut used = BTreeSet::new();
        let mut targets = Vec::new();
        for operator in &spec.operators {
            let path = format!("operator.{}.on_error", operator.name);
            targets.push(match &operator.on_error {
                OnError::DeadLetter(name) => match spec.sinks.iter().position(|sink| sink.name == *name) {
                    Some(sink) => {
                        used.insert(sink);
                        Some(sink)
                    }
                    None => {
                        self.problem(
                            path,
                            format!("there is no section [sink.{name}]; add it without an input"),
                        );
                        None
                    }
                },
                OnError::Fail | OnError::Skip => None,
            });
        }
        for (index, sink) in spec.sinks.iter().enumerate() {
            if sink.inputs.is_empty() && !used.contains(&index) {
                self.problem(format!("sink.{}", sink.name), "nothing writes to it; give it an input, or name it in an operator's on_error = { dead_letter = ... }");
            }
        }
        targets
    }

    /// Kahn's algorithm, in the file's order where there is a choice.
    fn order(&mut self) -> Vec<usize> {
        let spec = self.spec;
        let index_of = |input: &String| {
            let name = input.split('.').next().unwrap_or_default();
            spec.operators.iter().position(|operator| operator.name == name)
        };
        let inputs: Vec<Vec<usize>> = spec
            .operators
            .iter()
            .map(|operator| operator.inputs.iter().filter_map(index_of).collect())
            .collect();
        let mut order = Vec::new();
        while let Some(next) = (0..inputs.len())
            .find(|i| !order.contains(i) && inputs[*i].iter().all(|input| order.contains(input)))
        {
            order.push(next);
        }
        for (index, operator) in spec.operators.iter().enumerate() {
            if !order.contains(&index) {
                self.problem(
                    format!("operator.{}.input", operator.name),
                    "it reads its own output, directly or through others; a pipeline has no circles",
                );
            }
        }
        order
    }
}

fn with_ports(name: &str, ports: &Ports) -> String {
    ports.iter().map(|port| format!("{name}.{port}")).collect::<Vec<_>>().join(", ")
}
