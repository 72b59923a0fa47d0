//! The wire between the service and PostgreSQL: cut, or as behind a host that is dead.

use tokio::time::sleep;

use super::fault::{Fault, Place, Plan};
use super::windows::Windows;
use crate::support::proxy::Proxy;

pub async fn suffer(plan: Option<Plan>, proxy: &Proxy, windows: &Windows) {
    let Some(Plan { fault, after, lasts, .. }) = plan else { return };
    sleep(after).await;
    let suffered = async {
        match fault {
            Fault::WireCut => proxy.cut(),
            _ => proxy.freeze(true),
        }
        sleep(lasts).await;
        if fault == Fault::WireFrozenThenCut {
            proxy.cut();
        }
        proxy.freeze(false);
        proxy.mend();
    };
    windows.during(Place::Wire, fault.name(), suffered).await;
}
