//! Which fault was on from when to when, and whether intake stopped for longer than that.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::fault::Place;

/// When the faults that excuse it are over, a 200 comes again within this.
const BOUND: Duration = Duration::from_secs(10);

pub type Span = (Instant, Instant);

/// A fault, and when it was on.
struct Window {
    what: String,
    place: Place,
    span: Span,
}

pub struct Windows {
    begin: Instant,
    closed: Mutex<Vec<Window>>,
}

impl Default for Windows {
    fn default() -> Self {
        Self { begin: Instant::now(), closed: Mutex::default() }
    }
}

impl Windows {
    pub fn say(&self, what: &str) {
        println!("{:8.1} s  {what}", self.begin.elapsed().as_secs_f64());
    }

    /// Writes down when a fault was on, from its beginning to the end of what undoes it.
    pub async fn during<T>(&self, place: Place, what: &str, fault: impl Future<Output = T>) -> T {
        let from = Instant::now();
        let outcome = fault.await;
        let span = (from, Instant::now());
        self.say(&format!("  {what}, for {:.1} s", seconds(span)));
        self.closed.lock().unwrap().push(Window { what: what.to_owned(), place, span });
        outcome
    }

    fn of(&self, places: &[Place]) -> Vec<Span> {
        let windows = self.closed.lock().unwrap();
        windows.iter().filter(|window| places.contains(&window.place)).map(|window| window.span).collect()
    }

    /// When no 200 can be had: nobody is there to give it, or neither PostgreSQL nor the spool can take anything.
    fn excuses(&self) -> Vec<Span> {
        let away = self.of(&[Place::Server, Place::Wire, Place::Tables]);
        let full = self.of(&[Place::Disk]);
        let both = full.iter().flat_map(|full| away.iter().map(|away| overlap(*full, *away)));
        self.of(&[Place::Service]).into_iter().chain(both.filter(is_some)).collect()
    }

    /// Fails if intake stopped for longer than it may, and tells of the longest stretches.
    pub fn check(&self, stretches: &[Span], title: &str) {
        let excuses = self.excuses();
        let unexcused = |stretch: Span| without(stretch, &excuses).into_iter().map(seconds).fold(0.0, f64::max);
        let mut longest = stretches.to_vec();
        longest.sort_by_key(|stretch| std::cmp::Reverse(stretch.1 - stretch.0));
        for stretch in longest.iter().take(5) {
            let (time, rest) = (seconds(*stretch), unexcused(*stretch));
            let (at, around) = (seconds((self.begin, stretch.0)), self.around(*stretch));
            println!("{title}: no 200 for {time:.1} s from {at:.1} s on, {rest:.1} s of it not excused: {around}");
        }
        let worst = stretches.iter().map(|stretch| unexcused(*stretch)).fold(0.0, f64::max);
        println!("{title}: longest stretch without a 200 that no fault excuses: {worst:.1} s");
        assert!(worst <= BOUND.as_secs_f64(), "{title}: intake stopped for {worst:.1} s longer than the fault");
    }

    /// The faults of a stretch, with the seconds that each lasted.
    fn around(&self, stretch: Span) -> String {
        let windows = self.closed.lock().unwrap();
        let around = windows.iter().filter(|window| is_some(&overlap(window.span, stretch)));
        let around: Vec<_> = around.map(|window| format!("{} {:.1} s", window.what, seconds(window.span))).collect();
        if around.is_empty() { "no fault".to_owned() } else { around.join(", ") }
    }
}

fn seconds(span: Span) -> f64 {
    (span.1 - span.0).as_secs_f64()
}

fn is_some(span: &Span) -> bool {
    span.0 < span.1
}

fn overlap(one: Span, other: Span) -> Span {
    (one.0.max(other.0), one.1.min(other.1))
}

/// What is left of a stretch.
fn without(stretch: Span, excuses: &[Span]) -> Vec<Span> {
    let mut left = vec![stretch];
    for excuse in excuses {
        let parts = left.iter().flat_map(|span| [(span.0, span.1.min(excuse.0)), (span.0.max(excuse.1), span.1)]);
        left = parts.filter(is_some).collect();
    }
    left
}

#[test]
fn what_no_fault_excuses_is_left_of_a_stretch() {
    let begin = Instant::now();
    let at = |seconds| begin + Duration::from_secs(seconds);
    let left = without((at(2), at(20)), &[(at(0), at(3)), (at(10), at(12)), (at(11), at(15)), (at(30), at(40))]);
    assert_eq!(left, [(at(3), at(10)), (at(15), at(20))]);
}
