//! Medians and quartiles of pairs: a measured time, and the reference's from the same moment.

/// Two times in nanoseconds, taken one after the other.
#[derive(Clone, Copy)]
pub struct Pair {
    /// The time of what is compared with.
    pub reference: f64,
    /// The time of what is measured.
    pub measured: f64,
}

/// The middle of many figures, and how far they spread.
#[derive(Clone, Copy)]
pub struct Spread {
    /// A quarter of the figures lies below.
    pub low: f64,
    /// Half of them.
    pub median: f64,
    /// Three quarters.
    pub high: f64,
    /// How far from the median another run's is to be expected, at 95 %: the notch of a box plot
    /// (McGill, Tukey, Larsen 1978).
    pub margin: f64,
}

/// What the pairs of one measurement say.
pub struct Summary {
    /// The measured times.
    pub time: Spread,
    /// Measured over reference, pair by pair.
    pub ratio: Spread,
    /// Measured minus reference, pair by pair.
    pub added: Spread,
}

impl Summary {
    /// None if there are no pairs.
    pub fn of(pairs: &[Pair]) -> Option<Summary> {
        let spread = |figure: fn(&Pair) -> f64| Spread::of(pairs.iter().map(figure).collect());
        Some(Summary {
            time: spread(|pair| pair.measured)?,
            ratio: spread(|pair| pair.measured / pair.reference)?,
            added: spread(|pair| pair.measured - pair.reference)?,
        })
    }
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Option<Spread> {
        figures.sort_by(f64::total_cmp);
        let last = figures.len().checked_sub(1)?;
        let quarter = |n: usize| figures[(last * n + 2) / 4];
        let (low, median, high) = (quarter(1), quarter(2), quarter(3));
        let margin = 1.57 * (high - low) / (figures.len() as f64).sqrt();
        Some(Spread { low, median, high, margin })
    }
}
