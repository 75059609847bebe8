//! The four kinds of error that decide what happens next.

/// What a caller should do about an error. The worker's retry rule reads this and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Passing: the same call may work later.
    Transient,
    /// Lasting: the same call fails again.
    Permanent,
    /// The input itself is broken: keep it as data, say why, go on.
    Malformed,
    /// We are stopping; the work goes back, nothing is wrong.
    Shutdown,
}
