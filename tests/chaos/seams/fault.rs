//! What can happen, where, and in which order it does.

use std::time::Duration;

use fastrand::Rng;

/// What a fault acts on. In a bout each place has at most one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Service,
    Server,
    Wire,
    Tables,
    Disk,
    Clock,
}

impl Place {
    pub const ALL: [Self; 6] = [Self::Service, Self::Server, Self::Wire, Self::Tables, Self::Disk, Self::Clock];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    ServiceKilled,
    ServiceTerminated,
    ServiceStopped,
    ServerCrashed,
    ServerStopped,
    PostmasterStopped,
    BackendStopped,
    NoConnectionLeft,
    WireCut,
    WireFrozen,
    WireFrozenThenCut,
    TableLocked,
    MigrationLocked,
    TriggerOfUser,
    TriggerOfKind,
    TriggerAtWhim,
    RightsRevoked,
    DiskFull,
    ClockJumps,
}

impl Fault {
    const ALL: [Self; 19] = [
        Self::ServiceKilled,
        Self::ServiceTerminated,
        Self::ServiceStopped,
        Self::ServerCrashed,
        Self::ServerStopped,
        Self::PostmasterStopped,
        Self::BackendStopped,
        Self::NoConnectionLeft,
        Self::WireCut,
        Self::WireFrozen,
        Self::WireFrozenThenCut,
        Self::TableLocked,
        Self::MigrationLocked,
        Self::TriggerOfUser,
        Self::TriggerOfKind,
        Self::TriggerAtWhim,
        Self::RightsRevoked,
        Self::DiskFull,
        Self::ClockJumps,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::ServiceKilled => "service killed",
            Self::ServiceTerminated => "service terminated",
            Self::ServiceStopped => "service stopped (SIGSTOP)",
            Self::ServerCrashed => "PostgreSQL crashed",
            Self::ServerStopped => "PostgreSQL stopped (SIGSTOP)",
            Self::PostmasterStopped => "postmaster stopped (SIGSTOP)",
            Self::BackendStopped => "backend stopped (SIGSTOP)",
            Self::NoConnectionLeft => "no connection left",
            Self::WireCut => "wire cut",
            Self::WireFrozen => "wire frozen",
            Self::WireFrozenThenCut => "wire frozen, then cut",
            Self::TableLocked => "table locked",
            Self::MigrationLocked => "functions gone, migration locked",
            Self::TriggerOfUser => "trigger raises for a user",
            Self::TriggerOfKind => "trigger raises for a kind",
            Self::TriggerAtWhim => "trigger raises at whim",
            Self::RightsRevoked => "rights revoked",
            Self::DiskFull => "disk full",
            Self::ClockJumps => "clock jumps",
        }
    }

    pub fn place(self) -> Place {
        match self {
            Self::ServiceKilled | Self::ServiceTerminated | Self::ServiceStopped => Place::Service,
            Self::ServerCrashed
            | Self::ServerStopped
            | Self::PostmasterStopped
            | Self::BackendStopped
            | Self::NoConnectionLeft => Place::Server,
            Self::WireCut | Self::WireFrozen | Self::WireFrozenThenCut => Place::Wire,
            Self::TableLocked
            | Self::MigrationLocked
            | Self::TriggerOfUser
            | Self::TriggerOfKind
            | Self::TriggerAtWhim
            | Self::RightsRevoked => Place::Tables,
            Self::DiskFull => Place::Disk,
            Self::ClockJumps => Place::Clock,
        }
    }
}

/// A fault of a bout.
#[derive(Debug, Clone)]
pub struct Plan {
    pub fault: Fault,
    /// From the beginning of the bout.
    pub after: Duration,
    pub lasts: Duration,
    /// For what else there is to choose.
    pub rng: Rng,
}

/// The faults in an order of chance; each comes once before any comes again.
pub struct Deck {
    /// The full disk and the clock are many, as their places have no other: most bouts are to have one of them.
    all: Vec<Fault>,
    left: Vec<Fault>,
}

impl Deck {
    pub fn of(places: &[Place]) -> Self {
        let more = [Fault::DiskFull, Fault::ClockJumps].repeat(3);
        let all = Fault::ALL.into_iter().chain(more).filter(|fault| places.contains(&fault.place())).collect();
        Self { all, left: Vec::new() }
    }

    /// One to four faults for a bout, of different places.
    pub fn deal(&mut self, rng: &mut Rng) -> Vec<Plan> {
        let mut plans: Vec<Plan> = Vec::new();
        for _ in 0..rng.u8(1..=4) {
            if self.left.is_empty() {
                self.left.clone_from(&self.all);
                rng.shuffle(&mut self.left);
            }
            let is_free = |fault: &Fault| plans.iter().all(|plan| plan.fault.place() != fault.place());
            let Some(index) = self.left.iter().position(is_free) else { break };
            let fault = self.left.remove(index);
            let (after, lasts) = (rng.u64(0..2_000), rng.u64(500..6_000));
            let (after, lasts) = (Duration::from_millis(after), Duration::from_millis(lasts));
            plans.push(Plan { fault, after, lasts, rng: rng.fork() });
        }
        plans
    }
}
