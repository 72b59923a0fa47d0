//! What a batch adds to the state, as rows. The merges of [`crate::state`] stand once more in SQL, in the folder of each
//! table.

use sqlx::postgres::PgHasArrayType;
use sqlx::{AssertSqlSafe, Encode, PgConnection, Postgres};

use super::conversations::{self, ConversationRow};
use super::error::StoreError;
use super::functions;
use super::messages::{self, MessageRow};
use super::state_table::StateTable;
use super::subscriptions::{self, SubscriptionRow};
use super::uploads::{self, UploadRow};
use crate::state::State;

/// Each list holds a row once and is in one order for all transactions, so that no two wait for each other in a circle.
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

    /// Merges the rows, into whatever tables of these names the connection finds first.
    pub async fn merge(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        merge(connection, &messages::TABLE, &self.messages).await?;
        merge(connection, &conversations::TABLE, &self.conversations).await?;
        merge(connection, &subscriptions::TABLE, &self.subscriptions).await?;
        merge(connection, &uploads::TABLE, &self.uploads).await
    }
}

async fn merge<'q, R>(connection: &mut PgConnection, table: &StateTable, rows: &'q [R]) -> Result<(), StoreError>
where
    R: Encode<'q, Postgres> + sqlx::Type<Postgres> + PgHasArrayType + Sync,
{
    if !rows.is_empty() {
        let statement = format!("select {}($1)", functions::merge_name(table));
        sqlx::query(AssertSqlSafe(statement)).bind(rows).execute(connection).await?;
    }
    Ok(())
}
