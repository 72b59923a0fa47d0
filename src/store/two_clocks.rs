//! Events whose times two clocks judge: the service's, when they come in, and PostgreSQL's, as soon as the store knows that
//! the two are apart. A time that only a clock that is behind finds too late is plausible after all; the event then is what
//! it would have been with a right clock: the same time, the same key, the same facts.

use chrono::TimeDelta;

use crate::dialect;
use crate::event::{Event, Journaled, Note, Receipt};
use crate::ids::PageId;

/// The event with the skew that is known now, and judged again if it was found too late.
pub fn judge(event: &Event, skew: TimeDelta) -> Event {
    let event = Event { clock_skew: Some(event.clock_skew.unwrap_or(skew)), ..event.clone() };
    match event.note {
        Some(Note::TimeTooLate) => again(&event).unwrap_or(event),
        _ => event,
    }
}

fn again(event: &Event) -> Option<Event> {
    let judged = dialect::judge(&Journaled {
        body: event.body.exact()?,
        container: event.container,
        page_id: event.page_id.as_ref().map_or("", PageId::as_str),
        key: event.key,
        occurred_at: event.occurred_at,
        entry_time: event.entry_time,
        receipt: Receipt { received_at: event.received_at, clock_skew: event.clock_skew },
    })?;
    Some(Event { object: event.object.clone(), envelope: event.envelope.clone(), ..judged })
}
