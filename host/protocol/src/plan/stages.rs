//! Cuts a checked graph into stages: where rows must move between subtasks there is an exchange, and what lies
//! between exchanges runs on one thread per subtask.

use super::*;

/// Where rows must move.
struct Cuts {
    /// Operator, its input, and who receives a row.
    cuts: Vec<(usize, usize, Distribution)>,
    /// Per operator: the number of exchanges on the longest way to it.
    levels: Vec<usize>,
}

impl Plan {
    /// Places exchanges and groups the rest.
    pub(super) fn cut_into_stages(&mut self) {
        let Cuts { cuts, levels } = self.cuts();
        for (operator, input, distribution) in cuts {
            let index = self.exchanges.len();
            let from = self.inputs[operator][input].from;
            self.inputs[operator][input].exchange = Some(index);
            let consumers = match from {
                Upstream::Source(source) => &mut self.from_source[source],
                Upstream::Operator(upstream, port) => &mut self.from_operator[upstream][port],
            };
            for consumer in consumers {
                if *consumer == Downstream::Operator(operator, input) {
                    *consumer = Downstream::Exchange(index);
                }
            }
            let to = (operator, input);
            self.exchanges.push(Exchange { from, to, from_stage: 0, to_stage: 0, distribution });
        }
        self.group(&levels);
    }

    fn parallelism_of(&self, operator: usize) -> usize {
        self.spec.operators[operator].parallelism.unwrap_or(self.spec.parallelism)
    }

    /// The inputs that need an exchange.
    ///
    /// The level of an operator is the number of exchanges on the longest way to it. An edge that skips a level becomes
    /// an exchange too, so that exchanges always lead from a lower level to a higher one: stages never form a circle,
    /// and a subtask never waits for itself.
    fn cuts(&self) -> Cuts {
        // Per operator: do its rows lie with the owners of their keys?
        let mut placed = vec![false; self.spec.operators.len()];
        let mut levels = vec![0; self.spec.operators.len()];
        let mut cuts = Vec::new();
        for operator in self.order.iter().copied() {
            let (shape, own) = (&self.shapes[operator], self.parallelism_of(operator));
            let (mut all_placed, mut ways) = (true, Vec::new());
            for input in &self.inputs[operator] {
                let (upstream, level, with_owner) = match input.from {
                    Upstream::Source(_) => (self.spec.parallelism, 0, self.spec.co_partitioned),
                    Upstream::Operator(from, port) => {
                        let with_owner = placed[from] && self.keeps_key(from, port);
                        (self.parallelism_of(from), levels[from], with_owner)
                    }
                };
                let with_owner = with_owner && upstream == own;
                let alone = upstream == 1 && own == 1;
                let cut = if shape.is_keyed() && !with_owner && !alone {
                    Some(Distribution::ByKey)
                } else if upstream != own {
                    Some(Distribution::RoundRobin)
                } else {
                    None
                };
                all_placed &= with_owner;
                levels[operator] = levels[operator].max(level + usize::from(cut.is_some()));
                ways.push((level, cut));
            }
            for (index, (level, cut)) in ways.into_iter().enumerate() {
                let skips = level < levels[operator];
                if let Some(distribution) = cut.or(skips.then_some(Distribution::Forward)) {
                    cuts.push((operator, index, distribution));
                }
            }
            placed[operator] = shape.is_keyed() || all_placed;
        }
        Cuts { cuts, levels }
    }

    pub(super) fn keeps_key(&self, operator: usize, port: usize) -> bool {
        self.spec.operators[operator].keeps_key
            || self.shapes[operator].outputs.get(port).is_some_and(|port| port.keeps_key)
    }

    /// Neighbours without an exchange between them become one stage. Where there is no exchange at all, writers of one
    /// sink run together too.
    fn group(&mut self, levels: &[usize]) {
        let (sources, operators) = (self.spec.sources.len(), self.spec.operators.len());
        // One node per source, operator and sink; a group is named by its smallest node.
        let mut group: Vec<usize> = (0..sources + operators + self.spec.sinks.len()).collect();
        let mut join = |a: usize, b: usize| {
            let (a, b) = (group[a].min(group[b]), group[a].max(group[b]));
            group.iter_mut().filter(|g| **g == b).for_each(|g| *g = a);
        };
        let one_stage = self.exchanges.is_empty();
        let mut visit = |from: usize, to: &Downstream| match to {
            Downstream::Operator(operator, _) => join(from, sources + operator),
            Downstream::Sink(sink) if one_stage => join(from, sources + operators + sink),
            Downstream::Sink(_) | Downstream::Exchange(_) => {}
        };
        for (source, consumers) in self.from_source.iter().enumerate() {
            consumers.iter().for_each(|to| visit(source, to));
        }
        for (operator, ports) in self.from_operator.iter().enumerate() {
            ports.iter().flatten().for_each(|to| visit(sources + operator, to));
        }
        self.collect(&group, levels);
    }

    /// Makes the stages of the groups, in the order of their levels: a stage sends to later ones only.
    fn collect(&mut self, group: &[usize], levels: &[usize]) {
        let sources = self.spec.sources.len();
        let mut names: Vec<usize> = Vec::new();
        let stage_of = |node: usize, names: &mut Vec<usize>, stages: &mut Vec<Stage>, parallelism: usize| {
            names.iter().position(|name| *name == group[node]).unwrap_or_else(|| {
                names.push(group[node]);
                stages.push(Stage { parallelism, ..Stage::default() });
                stages.len() - 1
            })
        };
        let mut stages: Vec<Stage> = Vec::new();
        for source in 0..sources {
            let stage = stage_of(source, &mut names, &mut stages, self.spec.parallelism);
            stages[stage].sources.push(source);
            let consumers = &self.from_source[source];
            add_sinks(&mut stages[stage], consumers.iter());
        }
        let mut by_level = self.order.clone();
        // Stable: within a stage, which has one level, the order stays.
        by_level.sort_by_key(|operator| levels[*operator]);
        for operator in by_level {
            let parallelism = self.parallelism_of(operator);
            let stage = stage_of(sources + operator, &mut names, &mut stages, parallelism);
            stages[stage].operators.push(operator);
            add_sinks(&mut stages[stage], self.from_operator[operator].iter().flatten());
            let letters = self.dead_letters[operator].map(Downstream::Sink);
            add_sinks(&mut stages[stage], letters.iter());
        }
        for (index, exchange) in self.exchanges.iter_mut().enumerate() {
            let holds_source =
                |source: usize| stages.iter().position(|stage| stage.sources.contains(&source));
            let holds = |operator: usize| stages.iter().position(|stage| stage.operators.contains(&operator));
            let from = match exchange.from {
                Upstream::Source(source) => holds_source(source),
                Upstream::Operator(operator, _) => holds(operator),
            };
            exchange.from_stage = from.expect("every source and operator was put into a stage");
            exchange.to_stage = holds(exchange.to.0).expect("every operator was put into a stage");
            stages[exchange.from_stage].exchanges_out.push(index);
            stages[exchange.to_stage].exchanges_in.push(index);
        }
        self.stages = stages;
    }
}

fn add_sinks<'a>(stage: &mut Stage, consumers: impl Iterator<Item = &'a Downstream>) {
    for consumer in consumers {
        if let Downstream::Sink(sink) = consumer
            && !stage.sinks.contains(sink)
        {
            stage.sinks.push(*sink);
        }
    }
}
