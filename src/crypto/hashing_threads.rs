//! A few threads that hash passwords and do nothing else.
//!
//! Argon2 on a proxy worker would stall every connection of that worker, and a login flood would stall them all. Here
//! the number of hashes at a time (and so their memory) is fixed, those that wait are bounded, whoever finds the queue
//! full is told at once, and the threads run at low priority so that proxied traffic goes first. A slot is held until
//! its hash ends, even if the client has left: hanging up must not make guessing cheaper.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
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
    waiting: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl HashingThreads {
    /// Starts `threads` threads behind a queue of `queue` tasks.
    pub fn start(threads: usize, queue: usize) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel::<Task>(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        let waiting = Arc::new(AtomicUsize::new(0));
        let threads = (0..threads.max(1))
            .map(|index| {
                let (receiver, waiting) = (Arc::clone(&receiver), Arc::clone(&waiting));
                std::thread::Builder::new().name(format!("hashing-{index}")).spawn(move || work(&receiver, &waiting))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { queue: Some(sender), waiting, threads })
    }

    /// Runs `task` on one of the threads, or says at once that there is no room.
    pub async fn run<T: Send + 'static>(&self, task: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let (answer, answered) = oneshot::channel();
        let task: Task = Box::new(move || {
            // The client may have hung up; the work is done all the same.
            let _ = answer.send(task());
        });
        let queue = self.queue.as_ref().ok_or(Busy)?;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = queue.try_send(task) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Busy);
        }
        answered.await.map_err(|_| Busy)
    }

    /// Tasks that wait or run.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
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

fn work(receiver: &Mutex<Receiver<Task>>, waiting: &AtomicUsize) {
    // Where priorities may not be changed, hashing still works, only less politely.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
    loop {
        let task = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(task) = task else { return };
        // A panic in a hash ends that hash only: its answer channel closes, and the caller is told.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(task));
        waiting.fetch_sub(1, Ordering::Relaxed);
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
    async fn a_panic_ends_only_its_own_task() {
        let threads = HashingThreads::start(1, 4).unwrap();
        assert_eq!(threads.run(|| -> u8 { panic!("in a hash") }).await, Err(Busy));
        assert_eq!(threads.run(|| 7).await, Ok(7));
    }
}
