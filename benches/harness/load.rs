use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Result;
use super::connection::Connection;

/// Enough for every connection to have one to the upstream, and for what is remembered to be remembered.
const WARM_UP: usize = 20;
const STEADY_CONNECTIONS: usize = 8;

/// What bursts send, each request when its turn comes.
pub struct Requests {
    all: Vec<Vec<u8>>,
    next: AtomicUsize,
    /// Where each of `all` is sent once only: what connections are made warm with instead.
    opening: Option<Vec<u8>>,
}

impl Requests {
    pub fn same(request: Vec<u8>) -> Self {
        Self::in_turn(vec![request])
    }

    /// From the beginning again after the last one. All of them are sent before a burst is measured.
    pub const fn in_turn(all: Vec<Vec<u8>>) -> Self {
        Self { all, next: AtomicUsize::new(0), opening: None }
    }

    /// None is ever sent twice; when none is left, the burst fails.
    pub const fn once(all: Vec<Vec<u8>>, opening: Vec<u8>) -> Self {
        Self { all, next: AtomicUsize::new(0), opening: Some(opening) }
    }

    pub fn first(&self) -> &[u8] {
        self.all.first().map_or(&[], Vec::as_slice)
    }

    fn next(&self) -> Result<&[u8]> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let at = if self.opening.is_some() { turn } else { turn.checked_rem(self.all.len()).unwrap_or(0) };
        self.all.get(at).map(Vec::as_slice).ok_or_else(|| "there is nothing left to send".to_owned())
    }

    fn warm_up(&self, connection: &mut Connection, connections: usize) -> Result<()> {
        if let Some(opening) = &self.opening {
            return (0..WARM_UP).try_for_each(|_| connection.fetch(opening));
        }
        let share = self.all.len().div_ceil(connections);
        (0..share.max(WARM_UP)).try_for_each(|_| connection.fetch(self.next()?))
    }
}

/// Sends `count` requests over `connections` as fast as they are answered. `watch` is asked when all are connected and
/// warm, and again after the last answer.
pub fn burst<T>(
    address: SocketAddr,
    requests: &Requests,
    connections: usize,
    count: usize,
    watch: impl Fn() -> Result<T>,
) -> Result<(T, T)> {
    let each = count.div_ceil(connections);
    let line = Barrier::new(connections + 1);
    // Whoever fails still comes to every barrier, or all the others would wait there for ever.
    let send = || {
        let warm = Connection::open(address).and_then(|mut connection| {
            requests.warm_up(&mut connection, connections)?;
            Ok(connection)
        });
        line.wait();
        line.wait();
        let sent = warm.and_then(|mut connection| {
            (0..each).try_for_each(|_| connection.fetch(requests.next()?))?;
            Ok(connection)
        });
        line.wait();
        // What closing a connection costs is not measured, so it stays open until the second look is done.
        line.wait();
        sent.map(drop)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(send)).collect();
        line.wait();
        let before = watch();
        line.wait();
        line.wait();
        let after = watch();
        line.wait();
        for thread in threads {
            thread.join().map_err(|_| "a thread of the load panicked".to_owned())??;
        }
        Ok((before?, after?))
    })
}

/// What became of requests at a steady rate.
#[derive(Default)]
pub struct Steady {
    /// How long each took, sorted.
    pub latencies: Vec<Duration>,
    /// Those that were answered, but not by the upstream.
    pub refused: usize,
}

/// Sends `rate` requests per second for a while.
pub fn steady(address: SocketAddr, request: &[u8], rate: usize, lasting: Duration) -> Result<Steady> {
    let interval = Duration::from_secs_f64(STEADY_CONNECTIONS as f64 / rate as f64);
    let send = |index: usize| -> Result<Steady> {
        let mut connection = Connection::open(address)?;
        (0..WARM_UP).try_for_each(|_| connection.fetch(request))?;
        let begin = Instant::now();
        let mut due = begin + interval.mul_f64(index as f64 / STEADY_CONNECTIONS as f64);
        let mut steady = Steady::default();
        while due.duration_since(begin) < lasting {
            let now = Instant::now();
            let begun = if now < due {
                thread::sleep(due - now);
                Instant::now()
            } else {
                // The answer before came late. A client that sends when it wants to would have waited since `due`.
                due
            };
            let answer = connection.exchange(request)?;
            steady.latencies.push(begun.elapsed());
            steady.refused += usize::from(!answer.is_of_upstream());
            due += interval;
        }
        Ok(steady)
    };
    thread::scope(|scope| -> Result<Steady> {
        let threads: Vec<_> = (0..STEADY_CONNECTIONS).map(|index| scope.spawn(move || send(index))).collect();
        let mut all = Steady::default();
        for thread in threads {
            let one = thread.join().map_err(|_| "a thread of the load panicked".to_owned())??;
            all.latencies.extend(one.latencies);
            all.refused += one.refused;
        }
        all.latencies.sort_unstable();
        Ok(all)
    })
}
