use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::domain::gcra::{Level, Spent};
use crate::storage::budgets::{Ask, Counted, NoAnswer};

const NOON: Timestamp = Timestamp::from_secs(1_800_014_400 - 1_800_014_400 % 86_400 + 43_200);

#[derive(Default)]
struct Table {
    used: Mutex<BTreeMap<(String, Timestamp), u64>>,
    down: AtomicBool,
}

impl Table {
    fn check(&self) -> Result<()> {
        if self.down.load(Ordering::SeqCst) { Err(StoreError::Unavailable("down".to_owned())) } else { Ok(()) }
    }

    fn total(&self) -> u64 {
        self.used.lock().values().sum()
    }
}

#[async_trait]
impl Quotas for Table {
    async fn used(&self, key: &ApiKeyId, span: QuotaSpan) -> Result<u64> {
        self.check()?;
        Ok(self.used.lock().get(&(key.0.clone(), span.start)).copied().unwrap_or(0))
    }

    async fn add(&self, uses: &[QuotaUse]) -> Result<Vec<u64>> {
        self.check()?;
        let mut used = self.used.lock();
        let add = |one: &QuotaUse| {
            let total = used.entry((one.key.0.clone(), one.span.start)).or_default();
            *total += one.count;
            *total
        };
        Ok(uses.iter().map(add).collect())
    }

    async fn prune(&self, _: Timestamp) -> Result<u64> {
        Ok(0)
    }
}

/// One counter for all, as a server keeps it.
#[derive(Default)]
struct Server {
    total: AtomicU64,
    down: AtomicBool,
}

#[async_trait]
impl SharedBudgets for Server {
    async fn take(&self, _: &[Ask]) -> std::result::Result<Vec<std::result::Result<Level, Spent>>, NoAnswer> {
        Err(NoAnswer)
    }

    async fn count(&self, count: &Count) -> std::result::Result<Counted, NoAnswer> {
        if self.down.load(Ordering::SeqCst) {
            return Err(NoAnswer);
        }
        let before = self.total.load(Ordering::SeqCst) + count.owed;
        let admitted = before < count.most;
        let total = before + u64::from(admitted);
        self.total.store(total, Ordering::SeqCst);
        Ok(Counted { admitted, total })
    }
}

fn book(table: &Arc<Table>, server: Option<&Arc<Server>>) -> QuotaBook {
    let shared = server.map(|server| Arc::clone(server) as Arc<dyn SharedBudgets>);
    QuotaBook::new(Arc::clone(table) as _, shared, Handle::current())
}

async fn taken(book: &QuotaBook, quota: &str, now: Timestamp, tries: usize) -> usize {
    let (key, quota) = (ApiKeyId("k".to_owned()), Quota::parse(quota).unwrap());
    let mut taken = 0;
    for _ in 0..tries {
        taken += usize::from(book.take(&key, quota, now).await.unwrap().is_ok());
    }
    taken
}

#[tokio::test]
async fn a_node_counts_each_request_and_a_new_day_begins_anew() {
    let table = Arc::new(Table::default());
    let book = book(&table, None);
    assert_eq!(taken(&book, "7/day", NOON, 20).await, 7);
    let key = ApiKeyId("k".to_owned());
    assert_eq!(book.take(&key, Quota::parse("9/day").unwrap(), NOON).await.unwrap(), Ok(QuotaLeft { remaining: 1 }));
    let tomorrow = QuotaSpan::around(crate::domain::rate::QuotaPeriod::Day, NOON).end;
    assert_eq!(taken(&book, "7/day", tomorrow, 20).await, 7);
    book.write(tomorrow).await.unwrap();
    assert_eq!(table.total(), 15, "what belongs to yesterday is written, too");
    book.write(tomorrow).await.unwrap();
    assert_eq!(table.total(), 15, "once");
}

#[tokio::test]
async fn a_restart_goes_on_from_what_was_written() {
    let table = Arc::new(Table::default());
    let first = book(&table, None);
    assert_eq!(taken(&first, "7/day", NOON, 5).await, 5);
    first.write(NOON).await.unwrap();
    assert_eq!(taken(&book(&table, None), "7/day", NOON, 20).await, 2);
}

#[tokio::test]
async fn nodes_learn_of_each_other_with_each_bundle() {
    let table = Arc::new(Table::default());
    let (a, b) = (book(&table, None), book(&table, None));
    assert_eq!((taken(&a, "10/day", NOON, 4).await, taken(&b, "10/day", NOON, 4).await), (4, 4));
    a.write(NOON).await.unwrap();
    b.write(NOON).await.unwrap();
    assert_eq!(taken(&b, "10/day", NOON, 20).await, 2);
}

#[tokio::test]
async fn a_store_that_is_down_loses_nothing_and_lets_nobody_in_unseen() {
    let table = Arc::new(Table::default());
    let seen = book(&table, None);
    assert_eq!(taken(&seen, "10/day", NOON, 2).await, 2);
    table.down.store(true, Ordering::SeqCst);
    assert!(seen.write(NOON).await.is_err());
    assert_eq!(taken(&seen, "10/day", NOON, 3).await, 3, "what is known goes on");
    let unseen = book(&table, None).take(&ApiKeyId("k".to_owned()), Quota::parse("10/day").unwrap(), NOON).await;
    assert!(unseen.is_err());
    table.down.store(false, Ordering::SeqCst);
    seen.write(NOON).await.unwrap();
    assert_eq!(table.total(), 5);
}

#[tokio::test]
async fn with_a_shared_counter_nodes_add_up_exactly_through_an_outage() {
    let (table, server) = (Arc::new(Table::default()), Arc::new(Server::default()));
    let (a, b) = (book(&table, Some(&server)), book(&table, Some(&server)));
    assert_eq!((taken(&a, "20/day", NOON, 4).await, taken(&b, "20/day", NOON, 4).await), (4, 4));
    server.down.store(true, Ordering::SeqCst);
    assert_eq!((taken(&a, "20/day", NOON, 3).await, taken(&b, "20/day", NOON, 2).await), (3, 2));
    server.down.store(false, Ordering::SeqCst);
    assert_eq!((taken(&a, "20/day", NOON, 1).await, taken(&b, "20/day", NOON, 99).await), (1, 6));
    assert_eq!(taken(&a, "20/day", NOON, 99).await, 0);
    for node in [&a, &b] {
        node.write(NOON).await.unwrap();
    }
    assert_eq!(table.total(), 20);
}
