//! State from the journal: to check that nothing differs, or to replace it after a ruling has changed.

use super::parts::in_parts;
use crate::store::{Difference, Misjudged, Scope, Session, Store, StoreError};

/// What a rebuild came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilt {
    /// Rows of the journal that were folded.
    pub events: u64,
    /// Rows of the state that are not what the journal says, and events of the journal that were found too late only
    /// because the service's clock was behind.
    pub differences: u64,
}

/// Judges the journal's times again, and computes all state from it. [`Scope::Check`] reports each difference; [`Scope::Replace`] makes the
/// state what the journal says. `progress` gets the rows read so far and in all.
///
/// # Errors
/// PostgreSQL is away; the state has not been replaced.
pub async fn rebuild(
    store: &Store,
    scope: Scope,
    progress: impl Fn(u64, u64),
    mut report: impl FnMut(Difference),
) -> Result<Rebuilt, StoreError> {
    let misjudged = judge_times(store, scope, &mut report).await?;
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
    Ok(Rebuilt { events, differences: misjudged + differences })
}

/// Judges the times again that were found too late, and tells how many wrongly.
async fn judge_times(store: &Store, scope: Scope, mut report: impl FnMut(Difference)) -> Result<u64, StoreError> {
    let (mut journal, mut session) = (store.misjudged().await?, store.session());
    let mut count = 0;
    while let Some(misjudged) = journal.next().await? {
        count += misjudged.len() as u64;
        match scope {
            Scope::Check => misjudged.iter().map(Misjudged::difference).for_each(&mut report),
            Scope::Replace => {
                let correct = async |session: &mut Session, part: &[Misjudged]| session.correct(part).await;
                if let Some(reason) = in_parts(store, &mut session, &misjudged, correct).await? {
                    tracing::warn!(
                        reason,
                        "some events keep their note, because PostgreSQL does not take them without it"
                    );
                }
            }
        }
    }
    Ok(count)
}
