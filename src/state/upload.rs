//! Uploads: what the callback tells of them.

use chrono::{DateTime, Utc};

use super::join::Join;
use crate::ids::AttachmentId;

/// The callback's part of a row of `uploads`. The lesser one wins: the earlier callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upload<'e> {
    /// When the callback was first received.
    pub completed_at: DateTime<Utc>,
    /// What the upload became.
    pub attachment_id: &'e AttachmentId,
}

impl Join for Upload<'_> {
    fn join(&mut self, other: Self) {
        *self = (*self).min(other);
    }
}
