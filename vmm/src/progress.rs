//! How far a run is, for whoever shows it.

/// Told about a run as it goes on.
pub trait Progress {
    /// `cells` cells are to be done.
    fn start(&mut self, cells: usize);
    /// One more is done.
    fn cell(&mut self, workload: &str, policy: &str);
    /// Something worth a line happened.
    fn line(&mut self, text: &str);
    /// Nothing more will come.
    fn finish(&mut self);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn start(&mut self, _cells: usize) {}
    fn cell(&mut self, _workload: &str, _policy: &str) {}
    fn line(&mut self, _text: &str) {}
    fn finish(&mut self) {}
}
