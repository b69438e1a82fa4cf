//! The places at which a commit can be interrupted, so that tests can interrupt it there.
//!
//! A kill between two steps leaves exactly what an error between them leaves, as long as the error path repairs
//! nothing: so none does. Repair happens in one place, when the lake is opened.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::LakeError;

/// A step that is about to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Create and fill a data file's temporary.
    WriteDataFile,
    /// Make its content durable.
    SyncDataFile,
    /// Give it its name.
    NameDataFile,
    /// Make the names of all data files durable.
    SyncTable,
    /// Append the commit to the catalog.
    AppendCatalog,
    /// Write the commit's Delta log file under a temporary name.
    WriteDeltaCommit,
    /// Give it its name.
    NameDeltaCommit,
    /// Remove the temporary name and make the log's directory durable.
    SyncDeltaLog,
    /// Write the lines of the quarantine's index.
    IndexQuarantine,
}

/// What happens at a step: nothing, outside of tests.
#[derive(Clone, Default)]
pub(crate) struct Faults(Option<Arc<dyn Fn(Step) -> io::Result<()> + Send + Sync>>);

impl Faults {
    /// Asks `at` before each step, and fails the step if it fails.
    #[cfg(test)]
    pub(crate) fn new(at: impl Fn(Step) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(at)))
    }

    /// The step that concerns `path` is about to be taken.
    pub(crate) fn at(&self, step: Step, path: &Path) -> Result<(), LakeError> {
        match &self.0 {
            Some(fails) => fails(step).map_err(LakeError::io("reach", path)),
            None => Ok(()),
        }
    }
}
