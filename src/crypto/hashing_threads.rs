//! A few threads that hash passwords and do nothing else.
//!
//! Argon2 on a proxy worker would stall every connection of that worker, and a login flood would stall them all. Here
//! the number of hashes at a time (and so their memory) is fixed, those that wait are bounded, whoever finds the queue
//! full is told at once, and the threads run at low priority so that proxied traffic goes first. A slot is held until
//! its hash ends, even if the client has left: hanging up must not make guessing cheaper.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::password::Memory;

/// Niceness of the hashing threads, the lowest priority there is; the proxy workers' is 0. Linux lets a thread that wakes up
/// go before a running one only if it is owed time. Beside threads of a middling priority a worker often is not, and then
/// waits for the next tick of the clock, up to 4 ms.
const NICENESS: i32 = 19;

type Task = Box<dyn FnOnce(&mut Memory) + Send>;

/// A place among those that hash or wait. Taken before anything else is done for a password, so that whoever finds no room
/// is turned away at no cost, and held until the hash ends.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

/// The queue is full, or the threads have stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are waiting to be hashed")]
pub struct Busy;

#[derive(Debug)]
pub struct HashingThreads {
    queue: Option<Sender<Task>>,
    slots: Arc<Semaphore>,
    all_slots: usize,
}

impl HashingThreads {
    /// Starts `threads` threads behind a queue of `queue` tasks.
    pub fn start(threads: usize, queue: usize) -> std::io::Result<Self> {
        // Bounded by the slots.
        let (sender, receiver) = channel::<Task>();
        let receiver = Arc::new(Mutex::new(receiver));
        let threads = threads.max(1);
        for index in 0..threads {
            let receiver = Arc::clone(&receiver);
            std::thread::Builder::new().name(format!("hashing-{index}")).spawn(move || work(&receiver))?;
        }
        let all_slots = threads.saturating_add(queue).min(Semaphore::MAX_PERMITS);
        Ok(Self { queue: Some(sender), slots: Arc::new(Semaphore::new(all_slots)), all_slots })
    }

    /// A place, or at once the word that there is none.
    pub fn slot(&self) -> Result<Slot, Busy> {
        Arc::clone(&self.slots).try_acquire_owned().map(|permit| Slot { _permit: permit }).map_err(|_| Busy)
    }

    /// Runs `task` on one of the threads.
    pub async fn run_in<T: Send + 'static>(
        &self,
        slot: Slot,
        task: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (answer, answered) = oneshot::channel();
        let task: Task = Box::new(move |memory| {
            // The client may have hung up; the work is done all the same.
            let done = task(memory);
            drop(slot);
            let _ = answer.send(done);
        });
        self.queue.as_ref().ok_or(Busy)?.send(task).map_err(|_| Busy)?;
        answered.await.map_err(|_| Busy)
    }

    /// Runs `task` on one of the threads, or says at once that there is no room.
    pub async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        self.run_in(self.slot()?, task).await
    }

    /// Tasks that wait or run, or are about to.
    pub fn waiting(&self) -> usize {
        self.all_slots - self.slots.available_permits()
    }
}

impl Drop for HashingThreads {
    fn drop(&mut self) {
        // Closing the queue ends the threads once it is empty. They are not waited for: whoever drops this last may be a worker
        // that serves connections.
        self.queue = None;
    }
}

fn work(receiver: &Mutex<Receiver<Task>>) {
    // Where priorities may not be changed, hashing still works, only less politely.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
    let mut memory = Memory::default();
    loop {
        let task = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(task) = task else { return };
        // A panic in a hash ends that hash only: its answer channel closes, and the caller is told.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task(&mut memory)));
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
                    .run(move |_| {
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
            tokio::spawn(async move { threads.run(|_| 2).await })
        };
        while threads.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(threads.run(|_| 3).await, Err(Busy));
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(1));
        assert_eq!(second.await.unwrap(), Ok(2));
        assert_eq!(threads.run(|_| 4).await, Ok(4));
    }

    #[tokio::test]
    async fn a_panic_ends_only_its_own_task() {
        let threads = HashingThreads::start(1, 4).unwrap();
        assert_eq!(threads.run(|_| -> u8 { panic!("in a hash") }).await, Err(Busy));
        assert_eq!(threads.run(|_| 7).await, Ok(7));
    }
}
