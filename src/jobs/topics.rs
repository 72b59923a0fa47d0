//! Sobot's subscription topics, all pages of their list.

use crate::ids::PageId;
use crate::outbound::sobot::{Sobot, SobotError, Topic, TopicQuery};

/// All topics, or those of a page.
///
/// # Errors
/// Sobot does not tell, also when asked again.
pub async fn list(sobot: &Sobot, page_id: Option<&PageId>) -> Result<Vec<Topic>, SobotError> {
    let query = TopicQuery { pages: page_id.cloned().into_iter().collect(), ..TopicQuery::default() };
    let mut topics = Vec::new();
    let mut next = Some(1);
    while let Some(page_no) = next {
        let listed = sobot.get_title_list(&query, page_no).await?;
        next = listed.next_after(page_no)?;
        topics.extend(listed.items);
    }
    Ok(topics)
}
