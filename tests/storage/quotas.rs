//! What is promised of how much of their quotas keys have used.

use std::sync::Arc;

use portcullis::domain::api_key::ApiKeyId;
use portcullis::domain::quota_span::QuotaSpan;
use portcullis::domain::rate::QuotaPeriod;
use portcullis::storage::quotas::QuotaUse;

use crate::{World, at};

fn used(key: &str, span: QuotaSpan, count: u64) -> QuotaUse {
    QuotaUse { key: ApiKeyId(key.to_owned()), span, count }
}

pub async fn begin_at_nothing_and_add_up(world: &World) {
    let quotas = &world.quotas;
    let (day, month) = (QuotaSpan::around(QuotaPeriod::Day, at(0)), QuotaSpan::around(QuotaPeriod::Month, at(0)));
    let tomorrow = QuotaSpan::around(QuotaPeriod::Day, day.end);
    let a = ApiKeyId("a".to_owned());
    assert_eq!(quotas.used(&a, day).await.unwrap(), 0);
    assert_eq!(quotas.add(&[]).await.unwrap(), Vec::<u64>::new());
    assert_eq!(quotas.add(&[used("a", day, 3), used("b", day, 5)]).await.unwrap(), [3, 5]);
    assert_eq!(quotas.add(&[used("b", day, 1), used("a", day, 4), used("a", month, 9)]).await.unwrap(), [6, 7, 9]);
    let told = (quotas.used(&a, day).await.unwrap(), quotas.used(&a, month).await.unwrap());
    assert_eq!(told, (7, 9), "a day and a month are counted apart");
    assert_eq!(quotas.used(&a, tomorrow).await.unwrap(), 0);
}

pub async fn of_parallel_nodes_add_up(world: &World) {
    let span = QuotaSpan::around(QuotaPeriod::Month, at(0));
    let nodes = (0..8).map(|_| {
        let quotas = Arc::clone(&world.quotas);
        tokio::spawn(async move {
            for _ in 0..5 {
                quotas.add(&[used("a", span, 2), used("b", span, 1)]).await.unwrap();
            }
        })
    });
    for node in nodes.collect::<Vec<_>>() {
        node.await.unwrap();
    }
    assert_eq!(world.quotas.used(&ApiKeyId("a".to_owned()), span).await.unwrap(), 80);
    assert_eq!(world.quotas.used(&ApiKeyId("b".to_owned()), span).await.unwrap(), 40);
}

pub async fn are_forgotten_when_their_span_is_long_over(world: &World) {
    let (old, new) = (QuotaSpan::around(QuotaPeriod::Day, at(0)), QuotaSpan::around(QuotaPeriod::Day, at(90_000)));
    world.quotas.add(&[used("a", old, 1), used("a", new, 2)]).await.unwrap();
    assert_eq!(world.quotas.prune(new.start).await.unwrap(), 1);
    let key = ApiKeyId("a".to_owned());
    assert_eq!(world.quotas.used(&key, old).await.unwrap(), 0);
    assert_eq!(world.quotas.used(&key, new).await.unwrap(), 2);
}
