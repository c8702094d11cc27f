use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::domain::rate::{self, RatePeriod};

fn gcra(rate: &str, burst: u32) -> Gcra {
    Gcra::new(Rate::parse(&format!("{rate} burst {burst}")).unwrap())
}

fn taken(gcra: Gcra, bucket: &mut Arrival, now: Timestamp, tries: u32) -> u32 {
    (0..tries).map(|_| u32::from(gcra.take(bucket, now).is_ok())).sum()
}

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

#[test]
fn a_burst_passes_then_the_rate_holds() {
    let gcra = gcra("10/second", 5);
    let mut bucket = Arrival::NONE;
    for left in (0..5).rev() {
        assert_eq!(gcra.take(&mut bucket, START).unwrap().remaining, left);
    }
    let spent = gcra.take(&mut bucket, START).unwrap_err();
    assert_eq!((spent.retry_in, spent.full_in), (Duration::from_millis(100), Duration::from_millis(500)));
    assert_eq!(taken(gcra, &mut bucket, START.plus(Duration::from_micros(99_999)), 9), 0);
    assert_eq!(taken(gcra, &mut bucket, START.plus(Duration::from_millis(100)), 9), 1);
    assert_eq!(taken(gcra, &mut bucket, START.plus(Duration::from_secs(60)), 99), 5, "nothing is saved up");
}

#[test]
fn what_does_not_divide_still_lets_the_whole_burst_through() {
    for (rate, burst) in [("3/second", 3), ("7/minute", 7), ("300000/second", 300_000), ("999983/hour", 1000)] {
        let mut bucket = Arrival::NONE;
        assert_eq!(taken(gcra(rate, burst), &mut bucket, START, burst + 10), burst, "{rate}");
    }
}

#[test]
fn what_is_given_back_can_be_taken_again() {
    let gcra = gcra("1/hour", 2);
    let mut bucket = Arrival::NONE;
    for _ in 0..100 {
        gcra.take(&mut bucket, START).unwrap();
        gcra.give_back(&mut bucket);
    }
    assert_eq!(taken(gcra, &mut bucket, START, 9), 2);
}

#[test]
fn a_clock_that_is_set_back_neither_opens_the_bucket_nor_shuts_it_for_long() {
    let gcra = gcra("10/second", 5);
    let mut bucket = Arrival::NONE;
    assert_eq!(taken(gcra, &mut bucket, START, 9), 5);
    let hour_before = START.minus(Duration::from_secs(3600));
    assert_eq!(taken(gcra, &mut bucket, hour_before, 9), 0);
    let spent = gcra.take(&mut bucket, hour_before).unwrap_err();
    assert_eq!(spent.retry_in, Duration::from_millis(100));
    assert_eq!(taken(gcra, &mut bucket, hour_before.plus(spent.retry_in), 9), 1);
}

#[test]
fn what_a_wider_view_refuses_is_refused_here_for_as_long() {
    let gcra = gcra("10/second", 5);
    let mut bucket = Arrival::NONE;
    gcra.hold(&mut bucket, Duration::from_millis(70), START);
    assert_eq!(gcra.take(&mut bucket, START).unwrap_err().retry_in, Duration::from_millis(70));
    assert_eq!(taken(gcra, &mut bucket, START.plus(Duration::from_millis(70)), 9), 1);
    // It can be wrong about how long, and then it is asked again after one interval.
    let mut bucket = Arrival::NONE;
    gcra.hold(&mut bucket, Duration::from_secs(u64::MAX), START);
    assert_eq!(taken(gcra, &mut bucket, START.plus(Duration::from_millis(100)), 9), 1);
}

fn any_gcra() -> impl Strategy<Value = Gcra> {
    let period = prop::sample::select(vec![RatePeriod::Second, RatePeriod::Minute, RatePeriod::Hour]);
    let burst = prop_oneof![1_u32..20, Just(rate::MOST)];
    (1_u32..=rate::MOST, period, burst).prop_map(|(amount, per, burst)| {
        let count = |number| NonZeroU32::new(number).unwrap();
        Gcra::new(Rate { amount: count(amount), per, burst: count(burst) })
    })
}

proptest! {
    /// Over every window between two requests, however they come.
    #[test]
    fn never_more_than_the_burst_and_the_rate(
        count in 1_u32..1000,
        burst in 1_u32..20,
        steps in prop::collection::vec(0_u64..3_000_000, 1..200),
    ) {
        let gcra = gcra(&format!("{count}/minute"), burst);
        let (mut bucket, mut now, mut admitted) = (Arrival::NONE, START, Vec::new());
        for step in steps {
            now = now.plus(Duration::from_micros(step));
            if gcra.take(&mut bucket, now).is_ok() {
                admitted.push(now);
            }
        }
        for (first, from) in admitted.iter().enumerate() {
            for (last, to) in admitted.iter().enumerate().skip(first) {
                let micros = u64::try_from(to.since(*from).as_micros()).unwrap();
                let allowed = u64::from(burst) + micros * u64::from(count) / 60_000_000;
                prop_assert!((last - first + 1) as u64 <= allowed, "{} in {micros} µs", last - first + 1);
            }
        }
    }

    /// Whoever waits for as long as told is let through.
    #[test]
    fn the_wait_that_is_told_is_enough(gcra in any_gcra(), tries in 1_u32..50) {
        let mut bucket = Arrival::NONE;
        for _ in 0..tries {
            if let Err(spent) = gcra.take(&mut bucket, START) {
                let micros = spent.retry_in.as_nanos().div_ceil(1000);
                let later = START.plus(Duration::from_micros(u64::try_from(micros).unwrap()));
                prop_assert!(gcra.take(&mut bucket, later).is_ok());
                break;
            }
        }
    }

    /// With any clock: nothing breaks, and at one instant no more than the burst passes.
    #[test]
    fn no_clock_breaks_it(gcra in any_gcra(), times in prop::collection::vec(any::<i64>(), 1..50)) {
        let mut bucket = Arrival::NONE;
        for micros in times {
            let now = Timestamp::from_micros(micros);
            let passed = taken(gcra, &mut bucket, now, 30);
            prop_assert!(passed <= gcra.burst());
            gcra.give_back(&mut bucket);
            gcra.hold(&mut bucket, Duration::from_micros(micros.unsigned_abs()), now);
        }
    }

    /// A clock that jumps back and forth gives at most what the forward jumps amount to.
    #[test]
    fn jumps_give_no_more_than_their_length(jumps in prop::collection::vec(-3_600_000_i64..3_600_000, 1..30)) {
        let gcra = gcra("1/second", 10);
        let (mut bucket, mut now, mut forward, mut passed) = (Arrival::NONE, START, 0_i64, 0_i64);
        for millis in jumps {
            now = Timestamp::from_micros(now.as_micros() + millis * 1000);
            forward += millis.max(0);
            passed += i64::from(taken(gcra, &mut bucket, now, 20));
        }
        prop_assert!(passed <= 10 + forward / 1000 + 1);
    }
}
