//! A few threads that hash passwords and do nothing else.
//!
//! Argon2 on a proxy worker would stall every connection of that worker, and a login flood would stall them all. Here
//! the number of hashes at a time (and so their memory) is fixed, those that wait are bounded, whoever finds the queue
//! full is told at once, and the threads run at low priority so that proxied traffic goes first. A slot is held until
//! its hash ends, even if the client has left: hanging up must not make guessing cheaper.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

/// Niceness of the hashing threads: the proxy workers' is 0, and 19 is the lowest priority there is.
const NICENESS: i32 = 10;

type Task = Box<dyn FnOnce() + Send>;

/// The queue is full, or the threads have stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are waiting to be hashed")]
pub struct Busy;

#[derive(Debug)]
pub struct HashingThreads {
    queue: Option<SyncSender<Task>>,
    taken: Arc<AtomicUsize>,
    places: usize,
    threads: Vec<JoinHandle<()>>,
}

/// Room for one task, from before it is known what is to be hashed until that is done: whoever has it is not told to come
/// back any more.
#[derive(Debug)]
pub struct Place {
    taken: Arc<AtomicUsize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

impl HashingThreads {
    /// Starts `threads` threads behind a queue of `queue` tasks.
    pub fn start(threads: usize, queue: usize) -> std::io::Result<Self> {
        let threads = threads.max(1);
        let places = threads + queue;
        let (sender, receiver) = sync_channel::<Task>(places);
        let receiver = Arc::new(Mutex::new(receiver));
        let threads = (0..threads)
            .map(|index| {
                let receiver = Arc::clone(&receiver);
                std::thread::Builder::new().name(format!("hashing-{index}")).spawn(move || work(&receiver))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { queue: Some(sender), taken: Arc::default(), places, threads })
    }

    /// Takes a place, or says at once that there is none.
    pub fn place(&self) -> Result<Place, Busy> {
        let more = |taken| (taken < self.places).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map_err(|_| Busy)?;
        Ok(Place { taken: Arc::clone(&self.taken) })
    }

    /// Runs `task` on one of the threads, or says at once that there is no room.
    pub async fn run<T: Send + 'static>(&self, task: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        self.run_at(self.place()?, task).await
    }

    /// Runs `task` in the room that was kept for it.
    pub async fn run_at<T: Send + 'static>(
        &self,
        place: Place,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (answer, answered) = oneshot::channel();
        let task: Task = Box::new(move || {
            let done = task();
            // Free before the answer is out, so that whoever has it finds the room.
            drop(place);
            // The client may have hung up; the work is done all the same.
            let _ = answer.send(done);
        });
        // The queue is as long as there are places, so that only threads that have stopped take none.
        self.queue.as_ref().ok_or(Busy)?.try_send(task).map_err(|_| Busy)?;
        answered.await.map_err(|_| Busy)
    }

    /// Tasks that wait or run, and those that a place is kept for.
    pub fn waiting(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for HashingThreads {
    fn drop(&mut self) {
        // Closing the queue ends the threads once it is empty.
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work(receiver: &Mutex<Receiver<Task>>) {
    // Where priorities may not be changed, hashing still works, only less politely.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
    loop {
        let task = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(task) = task else { return };
        // A panic in a hash ends that hash only: its answer channel closes, and the caller is told.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(task));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_says_so_at_once_and_loses_nothing_else() {
        let threads = Arc::new(HashingThreads::start(1, 1).unwrap());
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let (started, running) = oneshot::channel();
        let first = {
            let threads = Arc::clone(&threads);
            tokio::spawn(async move {
                threads
                    .run(move || {
                        let _ = started.send(());
                        gate.recv().unwrap();
                        1
                    })
                    .await
            })
        };
        running.await.unwrap();
        let second = {
            let threads = Arc::clone(&threads);
            tokio::spawn(async move { threads.run(|| 2).await })
        };
        while threads.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(threads.run(|| 3).await, Err(Busy));
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(1));
        assert_eq!(second.await.unwrap(), Ok(2));
        assert_eq!(threads.run(|| 4).await, Ok(4));
    }

    #[tokio::test]
    async fn a_place_is_kept_until_it_is_given_up_or_used() {
        let threads = HashingThreads::start(1, 1).unwrap();
        let (first, second) = (threads.place().unwrap(), threads.place().unwrap());
        assert_eq!(threads.run(|| 1).await, Err(Busy));
        drop(first);
        assert_eq!(threads.run(|| 2).await, Ok(2));
        assert_eq!(threads.run_at(second, || 3).await, Ok(3));
        assert_eq!(threads.waiting(), 0);
    }

    #[tokio::test]
    async fn a_panic_ends_only_its_own_task() {
        let threads = HashingThreads::start(1, 4).unwrap();
        assert_eq!(threads.run(|| -> u8 { panic!("in a hash") }).await, Err(Busy));
        assert_eq!(threads.run(|| 7).await, Ok(7));
    }
}
