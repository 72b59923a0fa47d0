//! Who takes part, and which load each takes.

use std::time::Duration;

use crate::load::Load;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Hook,
    Spool,
    Naive,
    ParseOnly,
    InServer,
}

impl Who {
    pub fn name(self) -> &'static str {
        match self {
            Self::Hook => "sobot-hook",
            Self::Spool => "sobot-hook, spool",
            Self::Naive => "naive",
            Self::ParseOnly => "parse only",
            Self::InServer => "insert … select",
        }
    }
}

/// A turn: who takes what.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    pub workload: &'static str,
    pub who: Who,
    pub load: Load,
}

/// Customers write. Each of them some five times a turn, so that most conversations are known.
const ONE: Load =
    Load { kind: "message", events_per_post: 1, users: 10_000, apart: 1, connections: 64, pause: Duration::ZERO };
const TWENTY: Load = Load { kind: "message_twenty", events_per_post: 20, ..ONE };
const RECEIPTS: Load = Load { kind: "receipt", ..ONE };

pub const ONE_BY_1: &str = "one a post, 1 connection";
pub const ONE_BY_64: &str = "one a post, 64";
pub const ONE_BY_256: &str = "one a post, 256";
pub const TWENTY_BY_64: &str = "twenty a post, 64";
pub const RECEIPTS_SPREAD: &str = "receipts, 10,000 users";
pub const RECEIPTS_HOT: &str = "receipts, 100 users";
pub const DUPLICATES: &str = "duplicates";
pub const HALF: &str = "half of the saturating load";

pub const TURNS: [Turn; 16] = [
    turn(ONE_BY_64, Who::Hook, ONE),
    turn(ONE_BY_64, Who::Naive, ONE),
    turn(ONE_BY_64, Who::ParseOnly, ONE),
    turn(ONE_BY_64, Who::InServer, ONE),
    turn(TWENTY_BY_64, Who::Hook, TWENTY),
    turn(TWENTY_BY_64, Who::Naive, TWENTY),
    turn(TWENTY_BY_64, Who::ParseOnly, TWENTY),
    turn(ONE_BY_256, Who::Hook, Load { connections: 256, ..ONE }),
    turn(ONE_BY_256, Who::Naive, Load { connections: 256, ..ONE }),
    turn(ONE_BY_1, Who::Hook, Load { connections: 1, ..ONE }),
    turn(HALF, Who::Hook, Load { connections: 256, ..ONE }),
    turn(RECEIPTS_SPREAD, Who::Hook, RECEIPTS),
    turn(RECEIPTS_HOT, Who::Hook, Load { users: 100, ..RECEIPTS }),
    turn("opt-ins", Who::Hook, Load { kind: "optin", ..ONE }),
    turn(DUPLICATES, Who::Hook, Load { kind: "duplicate", ..ONE }),
    turn("PostgreSQL away", Who::Spool, ONE),
];

const fn turn(workload: &'static str, who: Who, load: Load) -> Turn {
    Turn { workload, who, load }
}
