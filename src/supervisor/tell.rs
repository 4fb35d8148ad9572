//! What is said of a service in its own log.

use super::machine::Change;
use crate::logger::component::Component;

/// Logs a change to the service's component. Supervisors of processes use it as well.
pub fn tell(service: Component, change: &Change) {
    let name = service.name();
    match change {
        Change::Started => crate::info!(logger: service, service = name; "service starts"),
        Change::Ready => crate::info!(logger: service, service = name; "service is ready"),
        Change::Overdue(reason) => {
            crate::error!(logger: service, service = name; "service is made to end: {reason}");
        }
        Change::Restarts { reason, pause, restart: (number, max) } => {
            crate::error!(
                logger: service, service = name, restart = *number, restarts_max = *max;
                "service ended: {reason}; it starts again in {pause:?}"
            );
        }
        Change::Failed(reason) => {
            crate::critical!(logger: service, service = name; "service has failed: {reason}");
        }
        Change::Finished => crate::info!(logger: service, service = name; "service has finished"),
        Change::Stopping => crate::info!(logger: service, service = name; "service is to end"),
        Change::Killed => crate::error!(logger: service, service = name; "service did not end in time and is killed"),
        Change::Stopped(None) => crate::info!(logger: service, service = name; "service has stopped"),
        Change::Stopped(Some(reason)) => {
            crate::warn!(logger: service, service = name; "service has stopped: {reason}");
        }
        Change::EndedLate => {
            crate::warn!(logger: service, service = name; "service has ended, after it was given up; it stays so");
        }
    }
}
