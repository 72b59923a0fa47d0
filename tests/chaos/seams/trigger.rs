//! Triggers of an analyst's that raise for some events.

use std::time::Duration;

use fastrand::Rng;

use super::fault::{Fault, Place};
use super::tables::Analyst;
use super::windows::Windows;

/// Where analysts look; of the fifty users eleven have the same first digit from 1 to 4. and with which columns all three.
const TABLES: [&str; 3] = ["events", "messages", "conversations"];

pub async fn raise(fault: Fault, analyst: &Analyst, time: Duration, rng: &mut Rng, windows: &Windows) {
    let (table, condition) = match fault {
        Fault::TriggerOfUser => (rng.choice(TABLES).unwrap(), format!("new.user_id like 'user-{}%'", rng.u8(1..5))),
        Fault::TriggerOfKind => (
            "events",
            format!("new.kind = '{}'", rng.choice(["message", "delivery", "read", "optin", "other"]).unwrap()),
        ),
        _ => (rng.choice(TABLES).unwrap(), "random() < 0.05".to_owned()),
    };
    let what = format!("{}: {table}, {condition}", fault.name());
    let made = format!(
        "create or replace function raise() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
         create trigger raise before insert on {table} for each row when ({condition}) execute function raise()"
    );
    let dropped = "drop function if exists raise cascade";
    windows.during(Place::Tables, &what, analyst.do_and_undo(&made, time, dropped)).await;
}
