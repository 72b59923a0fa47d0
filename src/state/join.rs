//! What all merges have in common.

/// A merge that is commutative, associative and idempotent.
pub trait Join {
    /// Takes in what another row knows.
    fn join(&mut self, other: Self);
}

/// The earlier of two times, if any is known.
pub fn earliest<T: Copy + Ord>(mine: &mut Option<T>, other: Option<T>) {
    *mine = match (*mine, other) {
        (Some(mine), Some(other)) => Some(mine.min(other)),
        (mine, other) => mine.or(other),
    };
}
