//! Turns names into a graph: every input is looked up, every port is fed, and there are no circles.

use super::check::Checker;
use super::*;
use std::collections::BTreeSet;

/// Who reads what.
pub(super) struct Edges {
    pub(super) from_source: Vec<Vec<Downstream>>,
    pub(super) from_operator: Vec<Vec<Vec<Downstream>>>,
    pub(super) inputs: Vec<Vec<Input>>,
}

impl Checker<'_> {
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
        let ports: Option<Vec<&String>> =
            self.shape(operator).map(|shape| shape.outputs.iter().map(|port| &port.name).collect());
        match (port, &ports) {
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
            (Some(port), Some(ports)) => match ports.iter().position(|known| known.as_str() == port) {
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

    pub(super) fn shape(&self, operator: usize) -> Option<&'_ OperatorShape> {
        self.shapes.get(operator).and_then(Option::as_ref)
    }

    pub(super) fn edges(&mut self) -> Edges {
        let spec = self.spec;
        let port_counts =
            (0..spec.operators.len()).map(|i| self.shape(i).map_or(1, |shape| shape.outputs.len()));
        let mut edges = Edges {
            from_source: vec![Vec::new(); spec.sources.len()],
            from_operator: port_counts.map(|count| vec![Vec::new(); count]).collect(),
            inputs: vec![Vec::new(); spec.operators.len()],
        };
        let mut connect = |from: Upstream, to: Downstream| match from {
            Upstream::Source(source) => edges.from_source[source].push(to),
            Upstream::Operator(operator, port) => {
                if let Some(consumers) = edges.from_operator[operator].get_mut(port) {
                    consumers.push(to);
                }
            }
        };
        for (index, operator) in spec.operators.iter().enumerate() {
            let path = format!("operator.{}.input", operator.name);
            if operator.inputs.is_empty() {
                self.problem(path.clone(), "expected the name of a source or operator");
            }
            for input in &operator.inputs {
                let port = self.input_port(index, &path, input.port.as_deref());
                if let (Some(from), Some(port)) = (self.upstream(&path, &input.from), port) {
                    connect(from, Downstream::Operator(index, edges.inputs[index].len()));
                    edges.inputs[index].push(Input { from, port, exchange: None });
                }
            }
            self.unfed_ports(index, &path);
        }
        for (index, sink) in spec.sinks.iter().enumerate() {
            for input in &sink.inputs {
                if let Some(from) = self.upstream(&format!("sink.{}.input", sink.name), input) {
                    connect(from, Downstream::Sink(index));
                }
            }
        }
        for (source, consumers) in spec.sources.iter().zip(&edges.from_source) {
            if consumers.is_empty() {
                self.problem(
                    format!("source.{}", source.name),
                    "nothing reads it; remove it or name it as an input",
                );
            }
        }
        edges
    }

    /// The index of the input port that an input feeds.
    fn input_port(&mut self, operator: usize, path: &str, wanted: Option<&str>) -> Option<u32> {
        let Some(shape) = self.shape(operator) else { return Some(0) };
        let names = shape.inputs.join(", ");
        let name = &self.spec.operators[operator].name;
        let found = match wanted {
            None if shape.inputs.len() == 1 => Ok(0),
            None => Err(format!(
                "operator {name} has several input ports; name them: input = {{ PORT = \"...\" }} with {names}"
            )),
            Some(port) => shape
                .inputs
                .iter()
                .position(|known| known == port)
                .ok_or_else(|| format!("operator {name} has no input port {port:?}; there are: {names}")),
        };
        match found {
            Ok(port) => Some(port as u32),
            Err(message) => {
                self.problem(path, message);
                None
            }
        }
    }

    /// An input port that nothing feeds would wait for ever.
    fn unfed_ports(&mut self, operator: usize, path: &str) {
        let Some(shape) = self.shape(operator) else { return };
        let inputs = &self.spec.operators[operator].inputs;
        let fed = |port: &String| inputs.iter().any(|input| input.port.as_ref() == Some(port));
        if inputs.iter().all(|input| input.port.is_none()) {
            return;
        }
        let missing: Vec<String> = shape.inputs.iter().filter(|port| !fed(port)).cloned().collect();
        for port in missing {
            self.problem(
                format!("{path}.{port}"),
                "nothing feeds this input port; name a source or an operator",
            );
        }
    }

    pub(super) fn dead_letters(&mut self) -> Vec<Option<usize>> {
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
    pub(super) fn order(&mut self) -> Vec<usize> {
        let spec = self.spec;
        let index_of = |input: &InputSpec| {
            let name = input.from.split('.').next().unwrap_or_default();
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

fn with_ports(name: &str, ports: &[&String]) -> String {
    ports.iter().map(|port| format!("{name}.{port}")).collect::<Vec<_>>().join(", ")
}
