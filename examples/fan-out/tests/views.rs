//! How each fault of a service affects a view. The services are real; only outcomes are asserted.

#![expect(clippy::unwrap_used, reason = "a test reports a failure by a panic")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fan_out::call::{HedgeAfter, Policy};
use fan_out::client::{CallError, agent, fetch};
use fan_out::server::Server;
use fan_out::services::{Answer, Kind, Plan, Question, SERVICES};
use fan_out::tally::Tally;
use fan_out::view::{Assembler, View, ViewError};

/// Far longer than anything here takes that ends at all.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);
const NEVER: HedgeAfter = [None; SERVICES.len()];

const CATALOG: usize = 0;
const PRICE: usize = 1;
const REVIEWS: usize = 3;

fn patient() -> Policy {
    Policy {
        deadline: LONG,
        request_limit: LONG,
        attempts: 3,
        backoff: Duration::from_millis(1),
        seed: 1,
        hedge_after: NEVER,
    }
}

/// A plan in which only these services fail, always.
fn failing(services: &[(usize, Kind)]) -> Plan {
    let mut plan = Plan::new(1, 0);
    for &(service, kind) in services {
        plan.kinds[service] = kind;
        plan.trouble[service] = 100;
    }
    plan
}

/// Builds one view, and waits until all its requests have ended.
fn view(plan: Plan, policy: Policy, number: u32) -> (Result<View, ViewError>, Tally) {
    let tally = Arc::new(Tally::default());
    let server = Server::start(plan).unwrap();
    let assembler = Assembler::new(policy, server.url(), 1, Arc::clone(&tally)).unwrap();
    let made = assembler.view(number);
    let caller = assembler.end_calls();
    // Ends the requests that hang.
    drop(server);
    drop(caller);
    (made, Arc::into_inner(tally).unwrap())
}

/// The outcome of each service, in short.
fn story(made: &Result<View, ViewError>) -> Vec<String> {
    match made {
        Err(error) => vec![error.to_string()],
        Ok(view) => {
            let part = |part: &Result<_, CallError>| match part {
                Ok(fan_out::call::Answered { attempt, .. }) => attempt.to_string(),
                Err(error) => error.to_string(),
            };
            view.iter().map(part).collect()
        }
    }
}

#[test]
fn each_fault_of_a_required_and_of_an_optional_service() {
    let hasty = Policy {
        request_limit: SHORT,
        attempts: 2,
        ..patient()
    };
    for (kind, policy, told) in [
        (Kind::Slow, patient(), None),
        (Kind::Flapping, patient(), None),
        (Kind::Error, patient(), Some("it answered with status 503")),
        (Kind::Down, patient(), Some("it answered with status 503")),
        (Kind::Hang, hasty, Some("no answer in time")),
    ] {
        for service in [PRICE, REVIEWS] {
            let (made, tally) = view(failing(&[(service, kind)]), policy, 4);
            // On a busy machine a healthy service may be too late for a hasty policy; the failing one counts.
            match (told, made) {
                (None, made) => {
                    let attempt = if kind == Kind::Flapping { "2" } else { "0" };
                    let mut whole = vec!["0"; SERVICES.len()];
                    whole[service] = attempt;
                    assert_eq!(story(&made), whole, "{kind:?}");
                    let requests = if kind == Kind::Flapping { 7 } else { 5 };
                    assert_eq!(tally.requests.get(), requests, "{kind:?}");
                    assert_eq!(tally.retries.get(), requests - 5, "{kind:?}");
                }
                (Some(told), Ok(view)) => {
                    assert_eq!(service, REVIEWS, "{kind:?}");
                    assert_eq!(view[REVIEWS].as_ref().unwrap_err().to_string(), told);
                }
                (Some(told), Err(error)) => {
                    assert!(service == PRICE || kind == Kind::Hang, "{kind:?}");
                    assert_eq!(error.error.to_string(), told, "{kind:?}");
                }
            }
            assert_eq!(tally.hedges.get(), 0);
        }
    }
}

#[test]
fn attempts_are_used_up_and_no_more() {
    for attempts in [0, 1, 2] {
        let policy = Policy {
            attempts,
            ..patient()
        };
        let (made, tally) = view(failing(&[(PRICE, Kind::Flapping)]), policy, 0);
        let error = made.unwrap_err();
        assert_eq!(error.service, PRICE);
        assert!(matches!(error.error, CallError::Status(503)));
        assert_eq!(tally.retries.get(), u64::from(attempts.max(1)) - 1);
    }
}

/// A view whose first request to this service hangs, but not the second.
fn hangs_once(plan: &Plan, service: usize) -> u32 {
    let answer = |view, is_second| {
        plan.answer(&Question {
            service,
            view,
            attempt: 0,
            is_second,
        })
    };
    let mut views = 0..;
    let is_wanted = |&view: &u32| {
        answer(view, false) == Answer::Never && matches!(answer(view, true), Answer::Good(_))
    };
    views.find(is_wanted).unwrap()
}

#[test]
fn second_request_wins_where_the_first_hangs_and_the_loser_is_cancelled() {
    for service in [CATALOG, REVIEWS] {
        let mut plan = failing(&[(service, Kind::Hang)]);
        plan.trouble[service] = 50;
        let mut policy = patient();
        policy.hedge_after[service] = Some(Duration::ZERO);
        let (made, tally) = view(plan, policy, hangs_once(&plan, service));
        let parts = made.unwrap();
        let answered = parts[service].as_ref().unwrap();
        assert_eq!((answered.attempt, answered.by_second), (0, true));
        assert_eq!((tally.hedges.get(), tally.requests.get()), (1, 6));
        assert_eq!(tally.ran_on.get(), 1);
    }
}

#[test]
fn answer_before_the_time_of_the_second_request_needs_none() {
    let mut policy = patient();
    policy.hedge_after = [Some(LONG); SERVICES.len()];
    let (made, tally) = view(failing(&[(PRICE, Kind::Flapping)]), policy, 0);
    assert_eq!(story(&made), ["0", "2", "0", "0", "0"]);
    assert_eq!(tally.hedges.get(), 0);
}

#[test]
fn first_error_of_a_required_service_cancels_the_others() {
    let hangs = failing(&[
        (CATALOG, Kind::Hang),
        (PRICE, Kind::Down),
        (REVIEWS, Kind::Hang),
    ]);
    let (made, tally) = view(hangs, patient(), 0);
    assert_eq!(story(&made), ["no price: it answered with status 503"]);
    // Both that hang were on the wire, and were cancelled.
    assert_eq!(tally.ran_on.get(), 2);
}

#[test]
fn optional_service_that_fails_cancels_nothing() {
    let (made, tally) = view(
        failing(&[(REVIEWS, Kind::Down), (CATALOG, Kind::Slow)]),
        patient(),
        0,
    );
    let view = made.unwrap();
    assert_eq!(view.iter().filter(|part| part.is_err()).count(), 1);
    assert_eq!((tally.requests.get(), tally.ran_on.get()), (7, 0));
}

#[test]
fn deadline_ends_a_view_whose_request_hangs() {
    let policy = Policy {
        deadline: Duration::from_millis(200),
        ..patient()
    };
    for (service, is_required) in [(CATALOG, true), (REVIEWS, false)] {
        let (made, _) = view(failing(&[(service, Kind::Hang)]), policy, 0);
        match made {
            Ok(view) => {
                assert!(!is_required);
                assert!(matches!(view[service], Err(CallError::TimedOut)));
            }
            // On a busy machine others may be late as well.
            Err(error) => assert!(matches!(error.error, CallError::TimedOut), "{error}"),
        }
    }
}

#[test]
fn view_without_time_asks_nobody() {
    let policy = Policy {
        deadline: Duration::ZERO,
        ..patient()
    };
    let (made, tally) = view(Plan::new(1, 0), policy, 0);
    assert!(matches!(made.unwrap_err().error, CallError::TimedOut));
    assert_eq!(tally.requests.get(), 0);
}

#[test]
fn pause_beyond_the_deadline_is_not_begun() {
    let policy = Policy {
        backoff: 10 * LONG,
        ..patient()
    };
    let (made, tally) = view(failing(&[(PRICE, Kind::Error)]), policy, 0);
    assert_eq!(story(&made), ["no price: it answered with status 503"]);
    assert_eq!(tally.retries.get(), 0);
}

#[test]
fn same_seed_tells_the_same_story() {
    let stories = |seed| -> Vec<_> {
        let mut plan = Plan::new(seed, 40);
        plan.kinds[REVIEWS] = Kind::Error;
        (0..6)
            .map(|number| story(&view(plan, patient(), number).0))
            .collect()
    };
    assert_eq!(stories(1), stories(1));
    assert_ne!(stories(1), stories(2));
}

#[test]
fn nobody_there_is_an_error_that_may_pass() {
    let server = Server::start(Plan::new(1, 0)).unwrap();
    let url = server.url();
    drop(server);
    let answer = fetch(&agent(1), &url, LONG, Instant::now() + LONG);
    assert!(
        matches!(&answer, Err(error @ CallError::Failed(_)) if error.may_pass()),
        "{answer:?}"
    );
}

/// Ends only if dropping the services ends the hanging requests.
#[test]
fn dropping_the_services_ends_requests_that_hang_and_unknown_paths_are_refused() {
    let server = Server::start(failing(&[(CATALOG, Kind::Hang)])).unwrap();
    let url = server.url();
    let address = url.trim_start_matches("http://");
    let mut hanging = TcpStream::connect(address).unwrap();
    let request = "GET /catalog/0/0/0 HTTP/1.1\r\n\r\n";
    hanging.write_all(request.as_bytes()).unwrap();
    let unknown = fetch(
        &agent(1),
        &format!("{url}/nothing"),
        LONG,
        Instant::now() + LONG,
    );
    assert!(
        matches!(unknown, Err(CallError::Status(404))),
        "{unknown:?}"
    );
    drop(server);
    let mut rest = Vec::new();
    let _ended_or_reset = hanging.read_to_end(&mut rest);
    assert!(rest.is_empty());
}
