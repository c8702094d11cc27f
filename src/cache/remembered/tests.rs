use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::*;
use crate::domain::clock::ManualClock;

impl Weigh for String {
    fn bytes(&self) -> usize {
        self.capacity()
    }
}

struct World {
    clock: Arc<ManualClock>,
    cache: Arc<Remembered<u32, String>>,
    loads: Arc<AtomicUsize>,
}

fn world() -> World {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1000)));
    let surroundings = Surroundings {
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        metrics: Arc::new(Metrics::new().unwrap()),
        runtime: Handle::current(),
    };
    let bounds = Bounds {
        bytes: 100_000,
        max_age: Duration::from_secs(5),
        negative_max_age: Duration::from_secs(1),
        stale_ok: Duration::from_secs(30),
    };
    World {
        clock,
        cache: Arc::new(Remembered::new(CacheName::Users, bounds, surroundings)),
        loads: Arc::new(AtomicUsize::new(0)),
    }
}

impl World {
    async fn get(&self, answer: Result<Option<&str>>) -> Result<Option<String>> {
        let answer = answer.map(|found| found.map(|text| Arc::new(text.to_owned()))).map_err(|e| e.to_string());
        let loads = Arc::clone(&self.loads);
        let load = move || {
            loads.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone().map_err(StoreError::Unavailable);
            async move { answer }
        };
        self.cache.get(&1, load).await.map(|found| found.map(|text| (*text).clone()))
    }

    /// A load that has begun and waits to be told to go on: it then finds `old`, or fails.
    async fn begin_load(&self, finds: bool) -> (tokio::task::JoinHandle<Result<Option<Arc<String>>>>, Arc<Notify>) {
        let (reading, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (cache, begun, waits) = (Arc::clone(&self.cache), Arc::clone(&reading), Arc::clone(&go_on));
        let task = tokio::spawn(async move {
            let load = move || {
                let (begun, waits) = (Arc::clone(&begun), Arc::clone(&waits));
                async move {
                    begun.notify_one();
                    waits.notified().await;
                    let down = StoreError::Unavailable("down".into());
                    if finds { Ok(Some(Arc::new("old".to_owned()))) } else { Err(down) }
                }
            };
            cache.get(&1, load).await
        });
        reading.notified().await;
        (task, go_on)
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }
}

fn down() -> Result<Option<&'static str>> {
    Err(StoreError::Unavailable("down".into()))
}

#[tokio::test]
async fn a_record_is_loaded_once_until_it_is_old_or_forgotten() {
    let world = world();
    assert_eq!(world.get(Ok(Some("a"))).await.unwrap().as_deref(), Some("a"));
    assert_eq!(world.get(Ok(Some("b"))).await.unwrap().as_deref(), Some("a"));
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(world.get(Ok(Some("b"))).await.unwrap().as_deref(), Some("b"));
    world.cache.forget(&1);
    assert_eq!(world.get(Ok(Some("c"))).await.unwrap().as_deref(), Some("c"));
    world.cache.forget_all();
    assert_eq!(world.get(Ok(None)).await.unwrap(), None);
    assert_eq!(world.loads(), 4);
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_nothing_last_longer_and_keeps_nobody_waiting() {
    const HOUR: Duration = Duration::from_secs(3600);
    let world = world();
    world.clock.advance(HOUR);
    let set_back = || world.clock.set(world.clock.now().minus(HOUR));
    assert_eq!(world.get(Ok(Some("a"))).await.unwrap().as_deref(), Some("a"));
    set_back();
    assert_eq!(world.get(Ok(Some("b"))).await.unwrap().as_deref(), Some("b"), "nobody knows how old the first is");
    world.clock.advance(HOUR);
    assert_eq!(world.get(Ok(None)).await.unwrap(), None);
    set_back();
    assert_eq!(world.get(Ok(Some("c"))).await.unwrap().as_deref(), Some("c"), "nor how old an absence is");
    // While the store is down, what may be too old is not served; and after it nobody waits for the clock.
    world.clock.advance(HOUR);
    assert_eq!(world.get(Ok(Some("d"))).await.unwrap().as_deref(), Some("d"));
    set_back();
    assert!(world.get(down()).await.is_err());
    set_back();
    assert_eq!(world.get(Ok(Some("e"))).await.unwrap().as_deref(), Some("e"));
}

#[tokio::test]
async fn an_absence_is_remembered_briefly() {
    let world = world();
    assert_eq!(world.get(Ok(None)).await.unwrap(), None);
    assert_eq!(world.get(Ok(Some("a"))).await.unwrap(), None);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.get(Ok(Some("a"))).await.unwrap().as_deref(), Some("a"));
}

#[tokio::test]
async fn while_the_store_is_down_the_known_is_served_for_a_bounded_time() {
    let world = world();
    world.get(Ok(Some("a"))).await.unwrap();
    world.clock.advance(Duration::from_secs(6));
    assert_eq!(world.get(down()).await.unwrap().as_deref(), Some("a"));
    let loads = world.loads();
    assert_eq!(world.get(down()).await.unwrap().as_deref(), Some("a"));
    assert_eq!(world.loads(), loads, "nobody tries again at once");
    world.clock.advance(Duration::from_secs(28));
    assert_eq!(world.get(down()).await.unwrap().as_deref(), Some("a"));
    world.clock.advance(Duration::from_secs(1));
    assert!(world.get(down()).await.is_err());
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.get(Ok(Some("b"))).await.unwrap().as_deref(), Some("b"), "recovers by itself");
}

#[tokio::test]
async fn an_unknown_key_is_an_error_and_not_an_absence_while_the_store_is_down() {
    let world = world();
    assert!(world.get(down()).await.is_err());
    assert!(world.get(Ok(Some("a"))).await.is_err(), "within the pause");
    world.clock.advance(RETRY_PAUSE);
    assert_eq!(world.get(Ok(Some("a"))).await.unwrap().as_deref(), Some("a"));
}

#[tokio::test]
async fn what_changes_while_it_is_read_is_not_kept() {
    let world = world();
    let (slow, go_on) = world.begin_load(true).await;
    world.cache.forget(&1);
    go_on.notify_one();
    slow.await.unwrap().unwrap();
    assert_eq!(world.get(Ok(Some("new"))).await.unwrap().as_deref(), Some("new"));
}

#[tokio::test]
async fn many_who_ask_at_once_cause_one_load() {
    let world = Arc::new(world());
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.get(Ok(Some("a"))).await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().as_deref(), Some("a"));
    }
    assert_eq!(world.loads(), 1);
}

#[tokio::test]
async fn an_equal_record_keeps_its_identity_when_it_is_read_again() {
    let world = world();
    let load = || async { Ok(Some(Arc::new("a".to_owned()))) };
    let first = world.cache.get(&1, load).await.unwrap().unwrap();
    world.clock.advance(Duration::from_secs(6));
    let second = world.cache.get(&1, load).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&first, &second));
}

#[tokio::test]
async fn memory_stays_under_its_bound() {
    let world = world();
    for key in 0..5_000_u32 {
        let load = || async { Ok(Some(Arc::new("x".repeat(100)))) };
        world.cache.get(&key, load).await.unwrap();
    }
    assert!(world.cache.entries.weight() <= 100_000);
}

#[tokio::test]
async fn what_is_forgotten_while_a_reload_fails_does_not_come_back() {
    let world = world();
    world.get(Ok(Some("good"))).await.unwrap();
    world.clock.advance(Duration::from_secs(6));
    let (failing, go_on) = world.begin_load(false).await;
    world.cache.forget_where(|_| true);
    go_on.notify_one();
    assert!(failing.await.unwrap().is_err());
    assert!(world.get(down()).await.is_err(), "a revoked record is not served stale");
}

#[tokio::test]
async fn who_asks_after_a_change_does_not_get_what_was_read_before_it() {
    let world = Arc::new(world());
    let (early, go_on) = world.begin_load(true).await;
    world.cache.forget_where(|_| true);
    let late = {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.get(Ok(Some("new"))).await })
    };
    tokio::task::yield_now().await;
    go_on.notify_one();
    assert_eq!(early.await.unwrap().unwrap().as_deref().map(String::as_str), Some("old"));
    assert_eq!(late.await.unwrap().unwrap().as_deref(), Some("new"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_load_is_left_to_end_by_itself() {
    let world = world();
    let ended = Arc::new(AtomicBool::new(false));
    let load = || {
        let ended = Arc::clone(&ended);
        async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            ended.store(true, Ordering::Relaxed);
            Err::<Option<Arc<_>>, _>(StoreError::Unavailable("no answer in time".to_owned()))
        }
    };
    assert!(world.cache.get(&1, load).await.is_err());
    assert!(ended.load(Ordering::Relaxed), "it notes for those after it that nobody answered");
}
