//! What the service asks of others: Sobot's API ([`sobot`]) and Meta's Conversations API ([`graph`]).
//!
//! * No token, key, text or URL stands in a log, an error, a `Debug` or a panic. Tokens travel in headers that are marked
//!   as sensitive; the one that Sobot wants in a URL (`sign`) is a digest. What the other side says of a failure is kept
//!   for whoever asked ([`sobot::Refusal::message`]) and not printed, because it may quote what was sent.
//! * Only what changes nothing is tried again by itself. A send is never repeated, except after the answer that its token
//!   is not valid: then it has not happened ([`sobot::SendOutcome`]).
//! * Answers are read tolerantly: numbers as text and the reverse, members that are missing. What was read is handed out
//!   with its bytes, for the journal.
//!
//! Limits: [`client::MAX_ANSWER_BYTES`] an answer; [`client::Patience`] a call; `sobot.sends_per_second`; two calls a
//! second for each page of Graph, and fewer when Meta says so.

pub mod client;
pub mod graph;
pub mod sobot;
