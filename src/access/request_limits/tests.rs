use std::collections::VecDeque;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::*;
use crate::domain::access_policy::AccessPolicy;
use crate::domain::gcra::{Level, Spent};
use crate::domain::key_bounds::{KeyBounds, KeyLimits};
use crate::domain::principal::{Assurance, Method};
use crate::domain::rate::Rate;
use crate::domain::scope::ScopeSet;
use crate::domain::user::UserId;
use crate::routing::host::HostPattern;
use crate::routing::normal_path::Oddities;
use crate::routing::pattern::PathPattern;
use crate::routing::route::{Methods, Target};
use crate::storage;
use crate::storage::budgets::{Count, Counted, NoAnswer};
use crate::storage::quotas::{QuotaLeft, QuotaSpent};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

struct NoQuotas;

#[async_trait]
impl QuotaMeter for NoQuotas {
    async fn take(&self, _: &ApiKeyId, _: Quota, _: Timestamp) -> storage::Result<Result<QuotaLeft, QuotaSpent>> {
        Ok(Err(QuotaSpent))
    }
}

/// Answers as it was told to, and then not at all.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Vec<Result<Level, Spent>>>>,
    asked: Mutex<Vec<Vec<String>>>,
}

#[async_trait]
impl SharedBudgets for Script {
    async fn take(&self, asks: &[Ask]) -> Result<Vec<Result<Level, Spent>>, NoAnswer> {
        self.asked.lock().push(asks.iter().map(|ask| ask.name.clone()).collect());
        self.answers.lock().pop_front().ok_or(NoAnswer)
    }

    async fn count(&self, _: &Count) -> Result<Counted, NoAnswer> {
        Err(NoAnswer)
    }
}

fn limit(text: &str) -> Option<RateLimit> {
    Some(RateLimit { rate: Rate::parse(text).unwrap(), shared: false })
}

fn shared(text: &str) -> Option<RateLimit> {
    Some(RateLimit { rate: Rate::parse(text).unwrap(), shared: true })
}

fn limits(general: GeneralLimits, shared: Option<Arc<dyn SharedBudgets>>) -> RequestLimits {
    RequestLimits::new(general, Arc::new(Counters::new(1000, shared, Arc::new(NoQuotas))))
}

fn route(name: &str, limits: RouteLimits) -> Route {
    Route {
        name: Arc::from(name),
        host: HostPattern::Any,
        path: PathPattern::parse("/", false).unwrap(),
        methods: Methods::Standard,
        target: Target::Nothing,
        access: AccessPolicy::Public,
        forward_credentials: false,
        strip_prefix: None,
        allow: Oddities::default(),
        limits,
    }
}

fn principal(subject: Subject, key: Option<(&str, KeyLimits)>) -> Principal {
    Principal {
        subject,
        method: Method::ApiKey,
        scopes: ScopeSet::default(),
        key_id: key.map(|(id, _)| ApiKeyId(id.to_owned())),
        bounds: KeyBounds { limits: key.map(|(_, limits)| limits).unwrap_or_default(), ..KeyBounds::default() },
        session_id: None,
        amr: Vec::new(),
        assurance: Assurance::OneFactor,
        authenticated_at: None,
        issued_at: None,
        owes_second_factor: false,
        expires_at: None,
        serial: 0,
    }
}

fn user(id: &str) -> Principal {
    let subject = Subject::User { id: UserId(id.to_owned()), username: String::new(), email: String::new() };
    principal(subject, None)
}

fn service(name: &str) -> Principal {
    principal(Subject::Service { name: name.to_owned() }, None)
}

async fn passed(limits: &RequestLimits, route: &Route, who: Option<&Principal>, tries: usize) -> usize {
    let mut passed = 0;
    for _ in 0..tries {
        passed += usize::from(limits.pass(route, who, NOW).await.is_ok());
    }
    passed
}

#[tokio::test]
async fn addresses_count_by_network_and_routes_apart() {
    let limits = limits(GeneralLimits { per_address: limit("3/minute"), ..GeneralLimits::default() }, None);
    let arrive = async |address: &str| {
        let mut passed = 0;
        for _ in 0..9 {
            passed += usize::from(limits.arrive(address.parse().unwrap(), NOW).await.is_ok());
        }
        passed
    };
    assert_eq!((arrive("192.0.2.1").await, arrive("::ffff:192.0.2.1").await, arrive("192.0.2.2").await), (3, 0, 3));
    assert_eq!(
        (arrive("2001:db8::1").await, arrive("2001:db8::ffff:1").await, arrive("2001:db8:0:1::1").await),
        (3, 0, 3)
    );
    let of = |name| route(name, RouteLimits { per_address: limit("1/minute"), ..RouteLimits::default() });
    let (a, b, client) = (of("a"), of("b"), "192.0.2.1".parse().unwrap());
    assert_eq!(limits.enter(&a, client, NOW).await.unwrap().unwrap().remaining, 0);
    let exceeded = limits.enter(&a, client, NOW).await.unwrap_err();
    assert_eq!((exceeded.limit, exceeded.denial()), (LimitName::RouteAddress, Denial::RateLimited));
    assert!(limits.enter(&b, client, NOW).await.is_ok());
    assert_eq!(limits.counters.held(), (6, 0));
}

#[tokio::test]
async fn nobody_takes_from_anothers_budget() {
    let limits = limits(GeneralLimits { per_principal: limit("2/minute"), ..GeneralLimits::default() }, None);
    let open = route("open", RouteLimits::default());
    for who in [user("7"), service("7"), user("8")] {
        assert_eq!(passed(&limits, &open, Some(&who), 9).await, 2, "{:?}", who.subject);
    }
    assert_eq!(passed(&limits, &open, None, 9).await, 9, "who is nobody is no principal");
    let of_key = |id: &str| {
        let limits = KeyLimits { rate: Some(Rate::parse("1/hour").unwrap()), quota: None };
        principal(Subject::Service { name: id.to_string() }, Some((id, limits)))
    };
    assert_eq!(passed(&limits, &open, Some(&of_key("k1")), 9).await, 1);
    assert_eq!(passed(&limits, &open, Some(&of_key("k2")), 9).await, 1);
}

#[tokio::test]
async fn what_one_limit_refuses_costs_nothing_elsewhere() {
    let limits = limits(GeneralLimits { per_principal: limit("5/minute"), ..GeneralLimits::default() }, None);
    let narrow = route("narrow", RouteLimits { total: limit("1/minute"), ..RouteLimits::default() });
    let open = route("open", RouteLimits::default());
    assert_eq!(passed(&limits, &narrow, Some(&user("7")), 50).await, 1);
    assert_eq!(passed(&limits, &open, Some(&user("7")), 50).await, 4);
}

#[tokio::test]
async fn a_spent_quota_is_told_as_such() {
    let limits = limits(GeneralLimits::default(), None);
    let quota = Some(Quota::parse("10/day").unwrap());
    let who = principal(Subject::Service { name: "s".to_owned() }, Some(("k", KeyLimits { rate: None, quota })));
    let held = limits.pass(&route("open", RouteLimits::default()), Some(&who), NOW).await.unwrap_err();
    let Held::Exceeded(exceeded) = held else { panic!("{held:?}") };
    assert_eq!((exceeded.denial(), exceeded.allowance.limit), (Denial::KeyQuota, 10));
    assert!(exceeded.retry_in <= Duration::from_secs(86_400));
}

#[tokio::test]
async fn other_nodes_are_asked_only_about_what_passes_here_and_is_shared() {
    let script = Arc::new(Script::default());
    let general =
        GeneralLimits { per_address: limit("9/minute"), per_principal: shared("3/minute"), keys_shared: true };
    let limits = limits(general, Some(Arc::clone(&script) as _));
    let open = route("open", RouteLimits::default());
    limits.arrive("192.0.2.1".parse().unwrap(), NOW).await.unwrap();
    assert!(script.asked.lock().is_empty());

    // One answer that leaves less than is left here, and one that leaves nothing.
    let level = Level { remaining: 0, full_in: Duration::from_secs(60) };
    let spent = Spent { retry_in: Duration::from_secs(5), full_in: Duration::from_secs(60) };
    script.answers.lock().extend([vec![Ok(level)], vec![Err(spent)]]);
    let told = limits.pass(&open, Some(&user("7")), NOW).await.unwrap().unwrap();
    assert_eq!((told.limit, told.remaining), (3, 0));
    let Held::Exceeded(exceeded) = limits.pass(&open, Some(&user("7")), NOW).await.unwrap_err() else { panic!() };
    assert_eq!(exceeded.retry_in, Duration::from_secs(5));
    assert_eq!(script.asked.lock().len(), 2);
    assert_eq!(passed(&limits, &open, Some(&user("7")), 50).await, 0, "refused here from now on");
    assert_eq!(script.asked.lock().len(), 2, "without asking again");
    assert!(!limits.counters.is_alone());

    // No answer: this node's own count holds.
    assert_eq!(passed(&limits, &open, Some(&user("8")), 50).await, 3);
    assert!(limits.counters.is_alone());
    let names: Vec<String> = script.asked.lock().concat();
    assert!(names.iter().all(|name| ["principal::user:7", "principal::user:8"].contains(&name.as_str())), "{names:?}");
}
