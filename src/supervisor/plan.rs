//! What is to be run, and in which order. Pure.

use super::restart::Restart;
use crate::error::Error;
use std::time::Duration;

/// The most services of a supervisor.
pub const SERVICES_MAX: usize = 64;
/// Bytes of a service's name.
const NAME_BYTES_MAX: usize = 64;

/// One service, as the [machine](super::machine::Machine) sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Its name, which is that of its component too.
    pub name: String,
    /// Services that must be ready, or have ended well, before it starts; it is stopped before them.
    pub after: Vec<String>,
    /// When it is started again.
    pub restart: Restart,
    /// How long it may take to say that it is ready; `None`: it is ready as soon as it runs.
    pub ready_max: Option<Duration>,
    /// How long it may be without a heartbeat; `None`: it has none.
    pub beat_max: Option<Duration>,
    /// How long it may take to end when it is told to.
    pub stop_max: Duration,
    /// It can be ended by force, as a process can and a thread cannot.
    pub killable: bool,
}

impl Plan {
    /// Starts at once, is ready when it runs, has no heartbeat, ends within 10 s, and is restarted by default rules.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            after: Vec::new(),
            restart: Restart::new(),
            ready_max: None,
            beat_max: None,
            stop_max: Duration::from_secs(10),
            killable: false,
        }
    }
}

/// The services that each one waits for, by their numbers; an error where the plans cannot be followed.
///
/// # Errors
/// [`Error::is_config`]; [`Error::field`] is `service.<name>.<field>`.
pub(super) fn check(plans: &[Plan]) -> Result<Vec<Vec<usize>>, Error> {
    let refuse = |name: &str, field: &str, why: String| Err(Error::config(&format!("service.{name}.{field}"), why));
    if plans.len() > SERVICES_MAX {
        return Err(Error::config("service", format!("{} services are more than {SERVICES_MAX}", plans.len())));
    }
    let mut needs = Vec::new();
    for (index, plan) in plans.iter().enumerate() {
        let name = &plan.name;
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(|c| c.is_control() || c == '/') {
            return refuse(name, "name", format!("{name:?} is no name: 1 to {NAME_BYTES_MAX} bytes, no / in it"));
        }
        if plans.iter().take(index).any(|before| before.name == *name) {
            return refuse(name, "name", "two services have it".to_owned());
        }
        let mut theirs = Vec::new();
        for needed in &plan.after {
            match plans.iter().position(|plan| plan.name == *needed) {
                Some(number) => theirs.push(number),
                None => return refuse(name, "after", format!("there is no service {needed:?}")),
            }
        }
        needs.push(theirs);
    }
    // Services that wait only for such as have their place already get theirs; those that are left wait in a circle.
    let mut placed = vec![false; plans.len()];
    loop {
        let is_free = |index: usize| needs.get(index).is_some_and(|needs| all(needs, &placed));
        let Some(next) = (0..plans.len()).find(|index| placed.get(*index) == Some(&false) && is_free(*index)) else {
            break;
        };
        if let Some(place) = placed.get_mut(next) {
            *place = true;
        }
    }
    match plans.iter().zip(&placed).find(|(_, placed)| !**placed) {
        Some((plan, _)) => refuse(&plan.name, "after", format!("{:?} wait for each other in a circle", plan.after)),
        None => Ok(needs),
    }
}

fn all(needs: &[usize], placed: &[bool]) -> bool {
    needs.iter().all(|need| placed.get(*need) == Some(&true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(name: &str, after: &[&str]) -> Plan {
        Plan { after: after.iter().map(|name| (*name).to_owned()).collect(), ..Plan::new(name) }
    }

    #[test]
    fn what_cannot_be_followed_is_refused_by_name() {
        assert_eq!(check(&[after("a", &["b"]), after("b", &[])]).unwrap(), [vec![1], vec![]]);
        let cases: [(&[Plan], &str, &str); 6] = [
            (&[after("", &[])], "service..name", "is no name"),
            (&[after("a/b", &[])], "service.a/b.name", "is no name"),
            (&[after("a", &[]), after("a", &[])], "service.a.name", "two services"),
            (&[after("a", &["b"])], "service.a.after", "no service \"b\""),
            (&[after("a", &["a"])], "service.a.after", "circle"),
            (&[after("x", &[]), after("a", &["b"]), after("b", &["a"])], "service.a.after", "circle"),
        ];
        for (plans, field, text) in cases {
            let error = check(plans).unwrap_err();
            assert!(error.field() == Some(field) && error.to_string().contains(text), "{error}");
        }
        let many: Vec<Plan> = (0..=SERVICES_MAX).map(|number| Plan::new(number.to_string())).collect();
        assert_eq!(check(&many).unwrap_err().field(), Some("service"));
    }
}
