//! Medians and maxima of what was measured several times.

/// Half of them are not above the median; how many there are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The middle one, the lower of two.
    pub median: f64,
    /// The largest.
    pub max: f64,
    /// How many.
    pub count: usize,
}

/// Of some numbers; none where there are none.
pub fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Spread> {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    let max = *numbers.last()?;
    Some(Spread { median: numbers[(numbers.len() - 1) / 2], max, count: numbers.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, max: 3.0, count: 3 }));
        assert_eq!(of([4.0, 1.0]), Some(Spread { median: 1.0, max: 4.0, count: 2 }));
        assert_eq!(of([]), None);
    }
}
