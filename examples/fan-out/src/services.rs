//! The services, and which of their requests meets which fault. Everything is a function of the seed.

use std::time::Duration;

use fastrand::Rng;

/// How many times as long a slow answer takes.
const SLOW: u32 = 10;
/// The attempt from which on a flapping service is back.
const BACK_AT: u32 = 2;

/// What a service does when it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Some answers come late.
    Slow,
    /// Some answers are errors.
    Error,
    /// Some answers never come.
    Hang,
    /// It is down for some views, and back when it is asked for the third time.
    Flapping,
    /// It is down for some views, however often it is asked.
    Down,
}

impl Kind {
    /// Its name in the report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Error => "error",
            Self::Hang => "hang",
            Self::Flapping => "flapping",
            Self::Down => "down",
        }
    }
}

/// The description of a service.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Its name, which is also the first part of its paths.
    pub name: &'static str,
    /// Whether a view fails without it.
    pub is_required: bool,
    /// About how long it takes to answer.
    pub latency: Duration,
}

/// All services, the required ones first.
pub const SERVICES: [Service; 5] = [
    service("catalog", true, 20),
    service("price", true, 15),
    service("stock", true, 25),
    service("reviews", false, 30),
    service("advice", false, 25),
];

/// How many of them are required.
pub const REQUIRED: usize = 3;

const fn service(name: &'static str, is_required: bool, millis: u64) -> Service {
    Service {
        name,
        is_required,
        latency: Duration::from_millis(millis),
    }
}

/// One request: which service is asked, for which view, and how often it was asked before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The index of the service in [`SERVICES`].
    pub service: usize,
    /// The number of the view.
    pub view: u32,
    /// The number of the attempt, from 0.
    pub attempt: u32,
    /// Whether it is the second request of a hedged pair.
    pub is_second: bool,
}

impl Question {
    /// Its path.
    ///
    /// # Examples
    ///
    /// ```
    /// use fan_out::services::Question;
    ///
    /// let question = Question { service: 1, view: 17, attempt: 0, is_second: true };
    /// assert_eq!(question.path(), "/price/17/0/1");
    /// assert_eq!(Question::parse("/price/17/0/1"), Some(question));
    /// assert_eq!(Question::parse("/prices/17/0/1"), None);
    /// ```
    #[must_use]
    pub fn path(&self) -> String {
        let name = SERVICES[self.service].name;
        let second = u8::from(self.is_second);
        format!("/{name}/{}/{}/{second}", self.view, self.attempt)
    }

    /// The question of a path, if it is one.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let name = parts.next()?;
        let question = Self {
            service: SERVICES.iter().position(|service| service.name == name)?,
            view: parts.next()?.parse().ok()?,
            attempt: parts.next()?.parse().ok()?,
            is_second: match parts.next()? {
                "0" => false,
                "1" => true,
                _ => return None,
            },
        };
        parts.next().is_none().then_some(question)
    }

    /// A random generator for this question alone.
    pub(crate) fn rng(&self, seed: u64) -> Rng {
        let mut rng = Rng::with_seed(seed);
        for number in [
            self.service as u64,
            self.view.into(),
            self.attempt.into(),
            self.is_second.into(),
        ] {
            rng = Rng::with_seed(rng.u64(..) ^ number);
        }
        rng
    }
}

/// How a service answers one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Well, after this time.
    Good(Duration),
    /// With status 503, after this time.
    Error(Duration),
    /// Not at all.
    Never,
}

/// Which request meets which fault.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The seed of all randomness.
    pub seed: u64,
    /// The percentage of requests to each service that meet its fault.
    pub trouble: [u32; SERVICES.len()],
    /// What each service does when it fails.
    pub kinds: [Kind; SERVICES.len()],
}

impl Plan {
    /// A different fault for each service, all equally frequent.
    #[must_use]
    pub fn new(seed: u64, trouble: u32) -> Self {
        let kinds = [
            Kind::Slow,
            Kind::Error,
            Kind::Flapping,
            Kind::Hang,
            Kind::Down,
        ];
        Self {
            seed,
            trouble: [trouble; SERVICES.len()],
            kinds,
        }
    }

    /// How this question is answered. The same question always gets the same answer.
    #[must_use]
    pub fn answer(&self, question: &Question) -> Answer {
        let kind = self.kinds[question.service];
        let whole_view = Question {
            attempt: 0,
            is_second: false,
            ..*question
        };
        let drawn_for = match kind {
            Kind::Slow | Kind::Error | Kind::Hang => question,
            Kind::Flapping | Kind::Down => &whole_view,
        };
        let has_fault = drawn_for.rng(self.seed).u32(0..100) < self.trouble[question.service];
        let mut rng = question.rng(!self.seed);
        let latency = SERVICES[question.service]
            .latency
            .mul_f64(0.75 + rng.f64() / 2.0);
        match kind {
            _ if !has_fault => Answer::Good(latency),
            Kind::Slow => Answer::Good(latency * SLOW),
            Kind::Error | Kind::Down => Answer::Error(latency),
            Kind::Hang => Answer::Never,
            Kind::Flapping if question.attempt < BACK_AT => Answer::Error(latency),
            Kind::Flapping => Answer::Good(latency),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(service: usize, view: u32, attempt: u32, is_second: bool) -> Question {
        Question {
            service,
            view,
            attempt,
            is_second,
        }
    }

    #[test]
    fn required_services_come_first() {
        let required = SERVICES.map(|service| service.is_required);
        assert_eq!(required, [true, true, true, false, false]);
        assert_eq!(REQUIRED, 3);
    }

    #[test]
    fn same_seed_gives_the_same_faults_another_seed_others() {
        let faults = |seed| -> Vec<_> {
            let plan = Plan::new(seed, 20);
            (0..500)
                .map(|n| plan.answer(&question(n % 5, n as u32, 0, false)))
                .collect()
        };
        assert_eq!(faults(3), faults(3));
        assert_ne!(faults(3), faults(4));
    }

    #[test]
    fn trouble_is_the_share_of_questions_with_a_fault_for_each_service() {
        for (trouble, expected) in [(0, 0..=0), (20, 1800..=2200), (100, 10_000..=10_000)] {
            let mut plan = Plan::new(1, trouble);
            plan.kinds = [Kind::Hang; SERVICES.len()];
            for service in 0..SERVICES.len() {
                let hangs =
                    |&view: &u32| plan.answer(&question(service, view, 0, false)) == Answer::Never;
                let hung = (0..10_000).filter(hangs).count();
                assert!(expected.contains(&hung), "{hung} of {trouble} %, {service}");
            }
        }
    }

    #[test]
    fn flapping_service_is_back_at_the_third_attempt_and_one_that_is_down_is_not() {
        let plan = Plan::new(1, 100);
        let is_good = |service, attempt| {
            matches!(
                plan.answer(&question(service, 9, attempt, false)),
                Answer::Good(_)
            )
        };
        assert_eq!(
            [0, 1, 2, 3].map(|n| is_good(2, n)),
            [false, false, true, true]
        );
        assert_eq!([0, 1, 2, 3].map(|n| is_good(4, n)), [false; 4]);
    }

    #[test]
    fn whole_views_are_down_and_single_requests_fail() {
        let mut plan = Plan::new(1, 50);
        // Whether a view meets its fault in only some of ten attempts.
        let varies = |plan: &Plan, view| {
            let is_error = |attempt| {
                matches!(
                    plan.answer(&question(4, view, attempt, false)),
                    Answer::Error(_)
                )
            };
            (1..10).any(|attempt| is_error(attempt) != is_error(0))
        };
        assert!((0..50).all(|view| !varies(&plan, view)));
        plan.kinds[4] = Kind::Error;
        assert!((0..50).any(|view| varies(&plan, view)));
    }

    #[test]
    fn paths_that_ask_nothing() {
        for path in [
            "",
            "/",
            "/price",
            "/price/1/1",
            "/price/1/1/2",
            "/price/-1/1/1",
            "/price/1/1/1/1",
        ] {
            assert_eq!(Question::parse(path), None, "{path}");
        }
    }
}
