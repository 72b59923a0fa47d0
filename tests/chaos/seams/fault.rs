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
    TableDiskFull,
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
    pub const ALL: [Self; 20] = [
        Self::ServiceKilled,
        Self::ServiceTerminated,
        Self::ServiceStopped,
        Self::ServerCrashed,
        Self::ServerStopped,
        Self::PostmasterStopped,
        Self::BackendStopped,
        Self::NoConnectionLeft,
        Self::TableDiskFull,
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
            Self::TableDiskFull => "PostgreSQL's disk full",
            Self::WireCut => "wire cut",
            Self::WireFrozen => "wire frozen",
            Self::WireFrozenThenCut => "wire frozen, then cut",
            Self::TableLocked => "table locked",
            Self::MigrationLocked => "functions gone, migration locked",
            Self::TriggerOfUser => "trigger raises for some users",
            Self::TriggerOfKind => "trigger raises for a kind",
            Self::TriggerAtWhim => "trigger raises at whim",
            Self::RightsRevoked => "rights revoked",
            Self::DiskFull => "disk full",
            Self::ClockJumps => "clock jumps",
        }
    }

    fn is_alone(self) -> bool {
        Self::ALL.iter().filter(|fault| fault.place() == self.place()).count() == 1
    }

    pub fn place(self) -> Place {
        match self {
            Self::ServiceKilled | Self::ServiceTerminated | Self::ServiceStopped => Place::Service,
            Self::ServerCrashed
            | Self::ServerStopped
            | Self::PostmasterStopped
            | Self::BackendStopped
            | Self::NoConnectionLeft
            | Self::TableDiskFull => Place::Server,
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
    /// With those that are alone at their place several times, so that all places have about as many.
    all: Vec<Fault>,
    left: Vec<Fault>,
}

impl Deck {
    pub fn of(mut all: Vec<Fault>) -> Self {
        let alone: Vec<Fault> = all.iter().copied().filter(|fault| fault.is_alone()).collect();
        all.extend(alone.repeat(3));
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
