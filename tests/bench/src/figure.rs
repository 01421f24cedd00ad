//! A figure: what was measured, how often, and what it should be.

use serde::Serialize;

/// What was measured, of several runs.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// Its unit.
    pub unit: &'static str,
    /// How many values it is made of.
    pub runs: usize,
    /// The middle one.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// What it should be.
    pub targets: Vec<Target>,
    /// Whether it is; none where there is no target.
    pub met: Option<bool>,
    /// The command that measures it.
    pub command: String,
}

/// A bound.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Target {
    /// Of which value.
    pub of: Of,
    /// Whether that may be no more, or no less.
    pub bound: Bound,
    /// Than this.
    pub value: f64,
}

/// A value of a figure.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// The middle one.
    Median,
    /// The least.
    Min,
    /// The greatest.
    Max,
}

/// The direction of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// No more than.
    AtMost,
    /// No less than.
    AtLeast,
}

impl Figure {
    /// A figure from what was measured; not a number where nothing was.
    pub fn new(name: impl Into<String>, unit: &'static str, values: &[f64]) -> Self {
        Self {
            name: name.into(),
            unit,
            runs: values.len(),
            median: quantile(values, 0.5),
            min: values.iter().copied().fold(f64::NAN, f64::min),
            max: values.iter().copied().fold(f64::NAN, f64::max),
            targets: Vec::new(),
            met: None,
            command: String::new(),
        }
    }

    /// A count over `runs` of something.
    pub fn count(name: impl Into<String>, unit: &'static str, runs: u32, count: f64) -> Self {
        Self {
            runs: runs.try_into().unwrap_or(usize::MAX),
            ..Self::new(name, unit, &[count])
        }
    }

    /// Adds a bound.
    #[must_use]
    pub fn target(mut self, of: Of, bound: Bound, value: f64) -> Self {
        let target = Target { of, bound, value };
        self.met = Some(self.met.unwrap_or(true) && self.meets(target));
        self.targets.push(target);
        self
    }

    /// The median may be no more than this.
    #[must_use]
    pub fn at_most(self, value: f64) -> Self {
        self.target(Of::Median, Bound::AtMost, value)
    }

    /// The median may be no less than this.
    #[must_use]
    pub fn at_least(self, value: f64) -> Self {
        self.target(Of::Median, Bound::AtLeast, value)
    }

    /// No value may be more than this.
    #[must_use]
    pub fn never_above(self, value: f64) -> Self {
        self.target(Of::Max, Bound::AtMost, value)
    }

    /// No value may be less than this.
    #[must_use]
    pub fn never_below(self, value: f64) -> Self {
        self.target(Of::Min, Bound::AtLeast, value)
    }

    /// The same, with the command that measures it.
    #[must_use]
    pub fn by(self, command: &str) -> Self {
        Self {
            command: command.to_owned(),
            ..self
        }
    }

    /// Whether it is not a count that has to be zero and is not: a lost request is a defect, a slow one a figure.
    pub fn is_no_failure(&self) -> bool {
        let zero = |target: &Target| target.bound == Bound::AtMost && target.value == 0.0;
        !self.targets.iter().any(zero) || self.met == Some(true)
    }

    fn meets(&self, target: Target) -> bool {
        let value = match target.of {
            Of::Median => self.median,
            Of::Min => self.min,
            Of::Max => self.max,
        };
        match target.bound {
            Bound::AtMost => value <= target.value,
            Bound::AtLeast => value >= target.value,
        }
    }

    fn row(&self) -> [String; 8] {
        let targets: Vec<_> = self.targets.iter().map(Target::in_words).collect();
        let met = match self.met {
            None => "",
            Some(true) => "met",
            Some(false) => "MISSED",
        };
        [
            self.name.clone(),
            short(self.median),
            short(self.min),
            short(self.max),
            self.unit.to_owned(),
            self.runs.to_string(),
            targets.join(", "),
            met.to_owned(),
        ]
    }
}

impl Target {
    fn in_words(&self) -> String {
        let of = match self.of {
            Of::Median => "",
            Of::Min => "min ",
            Of::Max => "max ",
        };
        let bound = match self.bound {
            Bound::AtMost => "<=",
            Bound::AtLeast => ">=",
        };
        format!("{of}{bound} {}", short(self.value))
    }
}

/// The value below which this part of all values is, by the nearest rank; not a number where there is none.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank, below the number of values"
    )]
    let rank = (part * last as f64).round() as usize;
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}

/// The figures, a line each.
pub fn table(figures: &[Figure]) -> String {
    let heading = ["FIGURE", "MEDIAN", "MIN", "MAX", "UNIT", "RUNS", "TARGET", ""].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(heading)
        .chain(figures.iter().map(Figure::row))
        .collect();
    let mut widths = [0; 8];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
            // Numbers to the right, words to the left.
            let is_number = matches!(index, 1..=3 | 5);
            let padded = if is_number {
                format!("{cell:>width$}  ")
            } else {
                format!("{cell:<width$}  ")
            };
            line.push_str(&padded);
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// A number as short as it says enough: three digits, or all of a whole one.
fn short(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "-".to_owned(),
        _ if value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figure_knows_its_middle_and_its_targets() {
        let figure = Figure::new("x", "ms", &[3.0, 1.0, 2.0]).at_most(2.0).never_above(3.0);
        assert_eq!((figure.median, figure.min, figure.max), (2.0, 1.0, 3.0));
        assert_eq!(figure.met, Some(true));
        assert_eq!(figure.never_above(2.9).met, Some(false));
        assert_eq!(Figure::new("x", "ms", &[]).at_most(2.0).met, Some(false));
    }

    #[test]
    fn only_what_has_to_be_zero_is_a_failure() {
        assert!(!Figure::count("lost", "requests", 1, 1.0).at_most(0.0).is_no_failure());
        assert!(Figure::count("lost", "requests", 1, 0.0).at_most(0.0).is_no_failure());
        assert!(Figure::new("slow", "ms", &[9.0]).at_most(1.0).is_no_failure());
    }

    #[test]
    fn table_has_a_line_for_each() {
        let text = table(&[Figure::new("flip", "ms", &[0.5]).at_most(1.0)]);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("FIGURE") && lines[1].ends_with("met"), "{text}");
        assert_eq!(
            [short(0.123), short(12.34), short(1234.5), short(3.0)],
            ["0.12", "12.3", "1234", "3"]
        );
    }
}
