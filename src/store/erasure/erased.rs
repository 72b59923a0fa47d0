//! What an erasure comes to.

use std::ops::AddAssign;

use sqlx::{Postgres, Transaction};

use crate::store::error::StoreError;

/// Rows that were deleted, or changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Deleted: the person's own, and those that name no user but hold the id.
    pub deleted: u64,
    /// Others' rows, in which only the id was replaced; bodies that hold others' events as well.
    pub changed: u64,
}

impl AddAssign for Erased {
    fn add_assign(&mut self, other: Self) {
        self.deleted += other.deleted;
        self.changed += other.changed;
    }
}

/// Commits a step, or takes back what was only to be counted.
pub async fn end(step: Transaction<'_, Postgres>, is_dry_run: bool) -> Result<(), StoreError> {
    if is_dry_run {
        step.rollback().await?;
    } else {
        step.commit().await?;
    }
    Ok(())
}
