//! The key of a message's row.

use sha2::{Digest, Sha256};

use crate::ids::{Mid, PageId};

/// What tells a user's messages apart: 16 bytes of SHA-256 over page and mid. Half as long as the two, it makes the table's
/// index smaller and cheaper to write. A contract on disk, like an event's key.
pub fn message_key(page: &PageId, mid: &Mid) -> [u8; 16] {
    let page = page.as_str();
    // The length goes first, so that no two pairs run together.
    let hash = Sha256::new_with_prefix((page.len() as u64).to_le_bytes()).chain_update(page).chain_update(mid.as_str());
    let mut key = [0; 16];
    key.copy_from_slice(&hash.finalize()[..16]);
    key
}
