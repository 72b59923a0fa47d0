//! What a batch adds to the state, as rows; and the call that merges them. The merges of [`crate::state`] stand once more
//! in SQL, in the function `fold`.

use sqlx::PgConnection;

use super::conversations::ConversationRow;
use super::error::StoreError;
use super::messages::MessageRow;
use super::subscriptions::SubscriptionRow;
use super::uploads::UploadRow;
use crate::state::State;

/// Each sorted by its table's key.
pub struct StateRows<'e> {
    pub messages: Vec<MessageRow<'e>>,
    pub conversations: Vec<ConversationRow<'e>>,
    pub subscriptions: Vec<SubscriptionRow<'e>>,
    pub uploads: Vec<UploadRow<'e>>,
}

impl<'e> StateRows<'e> {
    pub fn of(state: &'e State<'e>) -> Self {
        Self {
            messages: state.messages.iter().map(|(key, row)| MessageRow::new(key, row)).collect(),
            conversations: state.conversations.iter().map(|(key, row)| ConversationRow::new(key, row)).collect(),
            subscriptions: state.subscriptions.iter().map(|(key, row)| SubscriptionRow::new(key, row)).collect(),
            uploads: state.uploads.iter().map(|(track_id, row)| UploadRow::new(track_id, row)).collect(),
        }
    }
}

/// Merges what a batch tells.
pub async fn fold(connection: &mut PgConnection, state: &State<'_>) -> Result<(), StoreError> {
    let rows = StateRows::of(state);
    sqlx::query!(
        "select from fold($1, $2, $3, $4)",
        &rows.messages as _,
        &rows.conversations as _,
        &rows.subscriptions as _,
        &rows.uploads as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}
