//! The service itself: killed, terminated, or stopped for a while.

use tokio::time::sleep;

use super::clock::forget;
use super::fault::{Fault, Place, Plan};
use super::processes::Stopped;
use super::windows::Windows;
use crate::hook::Hook;

pub async fn suffer(plan: Option<Plan>, hook: &mut Hook, windows: &Windows) {
    let Some(Plan { fault, after, lasts, .. }) = plan else { return };
    sleep(after).await;
    let suffered = async {
        let process = hook.service().pid();
        match fault {
            Fault::ServiceKilled => hook.kill(),
            Fault::ServiceTerminated => hook.terminate().await,
            _ => {
                let _stopped = Stopped::of([process]);
                return sleep(lasts).await;
            }
        }
        forget(process);
        sleep(lasts / 2).await;
        hook.start().await;
    };
    windows.during(Place::Service, fault.name(), suffered).await;
}
