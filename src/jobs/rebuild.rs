//! State from the journal: to check that nothing differs, or to replace it after a ruling has changed.

use crate::store::{Difference, Scope, Store, StoreError};

/// What a rebuild came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilt {
    /// Rows of the journal that were folded.
    pub events: u64,
    /// Rows of the state that are not what the journal says.
    pub differences: u64,
}

/// Computes all state from the journal. [`Scope::Check`] reports each difference; [`Scope::Replace`] makes the
/// state what the journal says. `progress` gets the rows read so far and in all.
///
/// # Errors
/// PostgreSQL is away; nothing has changed.
pub async fn rebuild(
    store: &Store,
    scope: Scope,
    progress: impl Fn(u64, u64),
    report: impl FnMut(Difference),
) -> Result<Rebuilt, StoreError> {
    let mut rebuild = store.begin_rebuild(scope).await?;
    let mut events = 0;
    loop {
        progress(events, rebuild.total);
        match rebuild.fold_next().await? {
            0 => break,
            folded => events += folded as u64,
        }
    }
    let differences = match scope {
        Scope::Check => rebuild.compare(report).await?,
        Scope::Replace => {
            let differences = rebuild.count().await?;
            if differences > 0 {
                rebuild.replace().await?;
            }
            differences
        }
    };
    Ok(Rebuilt { events, differences })
}
