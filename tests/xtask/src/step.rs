//! The progress lines of a chore: `[2/5] building weir (about 10 minutes the first time)`.

/// Counts the steps of one chore and announces each on stderr, where it does not mix with results.
pub struct Steps {
    total: usize,
    begun: usize,
}

impl Steps {
    /// A chore of so many steps.
    pub fn new(total: usize) -> Steps {
        Steps { total, begun: 0 }
    }

    /// Announces the next step.
    pub fn next(&mut self, what: &str) {
        self.begun += 1;
        eprintln!("{}", line(self.begun, self.total, what));
    }
}

fn line(begun: usize, total: usize, what: &str) -> String {
    format!("[{begun}/{total}] {what}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_step_is_announced_with_its_number() {
        assert_eq!(super::line(2, 5, "building weir"), "[2/5] building weir");
    }
}
