use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

fn after(secs: u64) -> Timestamp {
    START.plus(Duration::from_secs(secs))
}

fn policy(free: u32, delay: u64, max_delay: u64, max_failures: u32, window: u64) -> LockoutPolicy {
    let secs = Duration::from_secs;
    LockoutPolicy { free, delay: secs(delay), max_delay: secs(max_delay), max_failures, window: secs(window) }
}

/// Guesses that all fail, each as soon as it is allowed: the lockout after them, and how long each of them waited.
fn guesses(policy: &LockoutPolicy, count: usize) -> (Lockout, Vec<u64>, Timestamp) {
    let (mut lockout, mut now, mut waits) = (Lockout::default(), START, Vec::new());
    for _ in 0..count {
        let wait = lockout.reserve(policy, now).err().map_or(0, |blocked| blocked.retry_after(now));
        now = now.plus(Duration::from_secs(wait));
        waits.push(wait);
        lockout = lockout.reserve(policy, now).unwrap();
    }
    (lockout, waits, now)
}

#[test]
fn ten_are_free_then_the_delay_doubles_up_to_a_quarter_of_an_hour() {
    let (_, waits, _) = guesses(&LockoutPolicy::account(), 20);
    assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900]);
    let (_, waits, _) = guesses(&LockoutPolicy::codes(), 8);
    assert_eq!(waits, [0, 0, 0, 0, 0, 10, 20, 40]);
    let (_, waits, _) = guesses(&LockoutPolicy::address(), 58);
    assert_eq!(waits[49..], [0, 5, 10, 20, 40, 80, 160, 300, 300]);
}

#[test]
fn a_hundred_failures_lock_until_a_day_after_the_last() {
    let policy = LockoutPolicy::account();
    let (lockout, _, last) = guesses(&policy, 100);
    let until = last.plus(DAY);
    assert_eq!(lockout.state(&policy, last), LockoutState::Locked { until });
    let blocked = lockout.reserve(&policy, until.minus(Duration::from_micros(1))).unwrap_err();
    assert_eq!((blocked.until, blocked.retry_after(last)), (until, 86_400));
    let afresh = lockout.reserve(&policy, until).unwrap();
    assert_eq!((afresh.failures, afresh.blocked_until), (1, None));
}

#[test]
fn five_mails_an_hour() {
    let policy = LockoutPolicy::requests();
    let (_, waits, _) = guesses(&policy, 6);
    assert_eq!(waits, [0, 0, 0, 0, 0, 3600]);
}

#[test]
fn the_default_policies_keep_within_their_bounds() {
    let (account, codes) = (LockoutPolicy::account(), LockoutPolicy::codes());
    assert!(account.free <= 10 && account.max_failures <= 100);
    assert!(codes.free <= 5 && codes.max_failures <= 100);
    for policy in [account, codes, LockoutPolicy::address(), LockoutPolicy::requests()] {
        assert!(policy.delay <= policy.max_delay && policy.max_delay <= policy.window);
        assert!(policy.free <= policy.max_failures);
    }
}

#[test]
fn a_right_guess_forgets_the_failures() {
    let policy = LockoutPolicy::account();
    let (lockout, ..) = guesses(&policy, 13);
    assert_eq!(lockout.succeed(), Lockout::default());
    assert!(!lockout.succeed().is_blocked(&policy, START));
}

#[test]
fn failures_are_forgotten_a_window_after_the_last_one() {
    let policy = policy(3, 10, 60, 10, 100);
    let two = Lockout::default().reserve(&policy, START).unwrap().reserve(&policy, after(90)).unwrap();
    assert_eq!(two.reserve(&policy, after(189)).unwrap().failures, 3);
    assert_eq!(two.reserve(&policy, after(190)).unwrap().failures, 1);
}

#[test]
fn knocking_does_not_extend_a_block() {
    let policy = policy(1, 10, 60, 10, 100);
    let stored = Lockout::default().reserve(&policy, START).unwrap();
    for second in 0..10 {
        let blocked = stored.reserve(&policy, after(second)).unwrap_err();
        assert_eq!((blocked.until, blocked.lockout), (after(10), stored));
        assert_eq!(blocked.retry_after(after(second)), 10 - second);
    }
    assert!(stored.reserve(&policy, after(10)).is_ok());
}

#[test]
fn a_wait_is_told_in_whole_seconds_rounded_up() {
    let blocked = Blocked { until: after(10), lockout: Lockout::default() };
    for (micros, secs) in
        [(0, 10), (1, 10), (999_999, 10), (1_000_000, 9), (9_999_999, 1), (10_000_000, 1), (60_000_000, 1)]
    {
        assert_eq!(blocked.retry_after(START.plus(Duration::from_micros(micros))), secs, "{micros}");
    }
}

#[test]
fn a_place_is_given_back_as_if_it_had_not_been_taken() {
    let policy = policy(2, 10, 60, 4, 100);
    let one = Lockout::default().reserve(&policy, START).unwrap();
    assert_eq!(one.give_back(&policy, one.place(Lockout::default())), Lockout::default());
    assert_eq!(Lockout::default().give_back(&policy, one.place(Lockout::default())), Lockout::default());
    // The second one is the first to be followed by a delay, so without it there is none.
    let two = one.reserve(&policy, after(5)).unwrap();
    assert_eq!(two.blocked_until, Some(after(15)));
    assert_eq!(two.give_back(&policy, two.place(one)), one);
    // The third doubles the delay; the second one's was over when it was made.
    let three = two.reserve(&policy, after(15)).unwrap();
    assert_eq!(three.blocked_until, Some(after(35)));
    let back = three.give_back(&policy, three.place(two));
    assert_eq!((back.failures, back.last_failure_at, back.blocked_until), (2, Some(after(5)), None));
    assert_eq!(back.reserve(&policy, after(15)), Ok(three));
    // The fourth locks.
    let four = three.reserve(&policy, after(35)).unwrap();
    assert_eq!(four.state(&policy, after(35)), LockoutState::Locked { until: after(135) });
    assert_eq!(four.give_back(&policy, four.place(three)).state(&policy, after(35)), LockoutState::Free);
}

#[test]
fn a_place_that_others_were_taken_after_leaves_theirs() {
    let policy = policy(2, 10, 60, 9, 100);
    let one = Lockout::default().reserve(&policy, START).unwrap();
    let two = one.reserve(&policy, after(1)).unwrap();
    let back = two.give_back(&policy, one.place(Lockout::default()));
    assert_eq!((back.failures, back.last_failure_at, back.blocked_until), (1, Some(after(1)), None));
    let three = two.reserve(&policy, after(11)).unwrap();
    let back = three.give_back(&policy, two.place(one));
    assert_eq!((back.failures, back.last_failure_at, back.blocked_until), (2, Some(after(11)), Some(after(21))));
    // Those before a window ago are no part of it.
    let later = three.reserve(&policy, after(111)).unwrap();
    let again = later.reserve(&policy, after(112)).unwrap();
    assert_eq!(again.give_back(&policy, later.place(three)).failures, 1);
    assert_eq!(later.give_back(&policy, later.place(three)), Lockout::default());
}

#[test]
fn a_success_among_many_does_not_let_a_guesser_begin_afresh() {
    let policy = policy(5, 10, 60, 100, 1000);
    let (mut lockout, mut wrong) = (Lockout::default(), 0);
    // One account of the guesser's own, signed in to after each guess at another.
    while let Ok(guess) = lockout.reserve(&policy, START) {
        wrong += 1;
        lockout = guess.reserve(&policy, START).map_or(guess, |own| own.give_back(&policy, own.place(guess)));
    }
    assert_eq!(wrong, 5);
}

#[test]
fn successes_among_many_do_not_keep_failures_alive() {
    let policy = LockoutPolicy::address();
    let (failed, _, last) = guesses(&policy, 55);
    let (mut lockout, mut now) = (failed, last.plus(160 * SECOND));
    while now < last.plus(policy.window) {
        let reserved = lockout.reserve(&policy, now).unwrap();
        lockout = reserved.give_back(&policy, reserved.place(lockout));
        assert_eq!((lockout.failures, lockout.last_failure_at), (55, Some(last)));
        now = now.plus(SECOND);
    }
    assert_eq!(lockout.reserve(&policy, now).unwrap().failures, 1);
}

#[test]
fn a_time_far_ahead_is_brought_back_to_now() {
    let policy = LockoutPolicy::account();
    let (hour, ahead) = (Duration::from_secs(3600), after(3600));
    let delayed = Lockout { failures: 10, last_failure_at: Some(ahead), blocked_until: Some(ahead.plus(10 * SECOND)) };
    let blocked = delayed.reserve(&policy, START).unwrap_err();
    assert_eq!((blocked.until, blocked.retry_after(START)), (after(10), 10));
    assert!(blocked.lockout.is_blocked(&policy, after(9)));
    assert!(blocked.lockout.reserve(&policy, after(10)).is_ok(), "stored, it ends its own length from now");
    let locked = Lockout { failures: 100, last_failure_at: Some(ahead), blocked_until: Some(ahead.plus(DAY)) };
    assert_eq!(locked.state(&policy, START), LockoutState::Locked { until: START.plus(DAY) });
    assert_eq!(locked.state(&policy, ahead.plus(hour)), LockoutState::Locked { until: ahead.plus(DAY) });
}

#[test]
fn a_clock_set_back_frees_nobody() {
    let policy = LockoutPolicy::account();
    for count in [10, 17, 100] {
        let (lockout, _, now) = guesses(&policy, count);
        for back in [1, 10, 900, 3600, 86_400, 10_000_000] {
            let earlier = now.minus(Duration::from_secs(back));
            assert!(lockout.is_blocked(&policy, earlier), "{count} failures, {back} s back");
        }
    }
}

#[test]
fn a_stricter_policy_counts_from_now_on() {
    let (lockout, _, last) = guesses(&LockoutPolicy::account(), 15);
    let stricter = LockoutPolicy { max_failures: 15, ..LockoutPolicy::account() };
    let later = last.plus(HOUR);
    assert!(!lockout.is_blocked(&LockoutPolicy::account(), later));
    assert_eq!(lockout.state(&stricter, later), LockoutState::Locked { until: last.plus(DAY) });
    let shorter = LockoutPolicy { max_delay: SECOND, ..LockoutPolicy::account() };
    assert_eq!(lockout.state(&shorter, last), LockoutState::Delayed { until: last.plus(SECOND) });
}

fn any_policy() -> impl Strategy<Value = LockoutPolicy> {
    (0..6_u32, 1..30_u64, 0..300_u64, 0..12_u32, 0..2000_u64).prop_map(|(free, delay, more, more_failures, longer)| {
        policy(free, delay, delay + more, free + more_failures, delay + more + longer)
    })
}

fn any_lockout() -> impl Strategy<Value = Lockout> {
    let time = || prop_oneof![1 => Just(None), 4 => (-100_000..100_000_i64).prop_map(|s| Some(START.plus_secs(s)))];
    (prop_oneof![9 => 0..20_u32, 1 => any::<u32>()], time(), time())
        .prop_map(|(failures, last_failure_at, blocked_until)| Lockout { failures, last_failure_at, blocked_until })
}

impl Timestamp {
    fn plus_secs(self, secs: i64) -> Self {
        Self::from_micros(self.as_micros() + secs * 1_000_000)
    }
}

/// When guesses were granted: tries at these intervals, in seconds, all of them wrong.
fn granted(policy: &LockoutPolicy, intervals: &[u64]) -> Vec<Timestamp> {
    let (mut lockout, mut now, mut granted) = (Lockout::default(), START, Vec::new());
    for interval in intervals {
        now = now.plus(Duration::from_secs(*interval));
        match lockout.reserve(policy, now) {
            Ok(reserved) => {
                granted.push(now);
                lockout = reserved;
            }
            Err(blocked) => lockout = blocked.lockout,
        }
    }
    granted
}

/// The most that fall into any span of this length, its end not included.
fn most_within(granted: &[Timestamp], span: Duration) -> usize {
    let count = |from: Timestamp| granted.iter().filter(|at| **at >= from && **at < from.plus(span)).count();
    granted.iter().map(|at| count(*at)).max().unwrap_or(0)
}

fn intervals() -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(prop_oneof![4 => Just(0), 4 => 0..40_u64, 1 => 0..3000_u64], 1..200)
}

proptest! {
    #[test]
    fn never_more_than_the_free_guesses_without_a_delay(policy in any_policy(), intervals in intervals()) {
        let most = most_within(&granted(&policy, &intervals), policy.delay);
        prop_assert!(most <= policy.free.max(1) as usize, "{most}");
    }

    #[test]
    fn never_more_than_the_maximum_in_a_window(policy in any_policy(), intervals in intervals()) {
        let most = most_within(&granted(&policy, &intervals), policy.window);
        prop_assert!(most <= policy.max_failures.max(1) as usize, "{most}");
    }

    #[test]
    fn time_alone_frees(policy in any_policy(), lockout in any_lockout()) {
        if let Err(blocked) = lockout.reserve(&policy, START) {
            prop_assert!(blocked.until > START && blocked.until <= START.plus(policy.window));
            prop_assert!(blocked.lockout.reserve(&policy, blocked.until).is_ok());
            // What was not brought back is free when time has caught up with it.
            let caught_up = lockout.last_failure_at.unwrap().max(START).plus(policy.window);
            prop_assert!(lockout.reserve(&policy, caught_up).is_ok());
        }
    }

    #[test]
    fn a_refusal_changes_only_times_ahead(policy in any_policy(), lockout in any_lockout(), later in 0..5000_u64) {
        if let Err(first) = lockout.reserve(&policy, START) {
            prop_assert_eq!(first.lockout.failures, lockout.failures);
            prop_assert!(first.lockout.last_failure_at <= lockout.last_failure_at);
            // Asking again and again ends at the same moment as not asking.
            match first.lockout.reserve(&policy, after(later)) {
                Err(second) => prop_assert_eq!((second.until, second.lockout), (first.until, first.lockout)),
                Ok(_) => prop_assert!(after(later) >= first.until),
            }
        }
    }

    #[test]
    fn reserving_counts_one_and_never_shortens(policy in any_policy(), lockout in any_lockout()) {
        if let Ok(reserved) = lockout.reserve(&policy, START) {
            prop_assert!(lockout.failures.saturating_add(1) == reserved.failures || reserved.failures == 1);
            prop_assert_eq!(reserved.last_failure_at, Some(START));
            let before = lockout.settle(&policy, START).blocked_until;
            prop_assert!(reserved.blocked_until >= before);
            // The place that was taken can be returned, and everything is as before.
            if (1..u32::MAX).contains(&lockout.failures) {
                prop_assert_eq!(reserved.give_back(&policy, reserved.place(lockout)), lockout.settle(&policy, START));
            }
        }
    }

    #[test]
    fn a_clock_that_steps_lengthens_no_block_and_frees_none(
        policy in any_policy(), lockout in any_lockout(), back in 0..200_000_i64,
    ) {
        let earlier = START.plus_secs(-back);
        if let Err(blocked) = lockout.reserve(&policy, START) {
            let again = blocked.lockout.reserve(&policy, earlier);
            let until = again.map(|_| ()).unwrap_err().until;
            prop_assert!(until <= earlier.plus(policy.block(lockout.failures)));
            prop_assert!(until <= blocked.until);
        }
    }

    #[test]
    fn no_number_is_too_large(
        numbers in any::<(u32, u32, u32, i64, i64, i64)>(),
        durations in any::<(Duration, Duration, Duration)>(),
        kept in any::<(bool, bool)>(),
    ) {
        let (free, max_failures, failures, last, until, now) = numbers;
        let (delay, max_delay, window) = durations;
        let policy = LockoutPolicy { free, delay, max_delay, max_failures, window };
        let time = |micros, kept: bool| kept.then(|| Timestamp::from_micros(micros));
        let lockout = Lockout { failures, last_failure_at: time(last, kept.0), blocked_until: time(until, kept.1) };
        let now = Timestamp::from_micros(now);
        match lockout.reserve(&policy, now) {
            Ok(reserved) => {
                prop_assert!(reserved.failures > 0);
                reserved.give_back(&policy, reserved.place(lockout));
                lockout.give_back(&policy, reserved.place(lockout));
            }
            Err(blocked) => prop_assert!(blocked.retry_after(now) > 0),
        }
        lockout.state(&policy, now);
    }
}
