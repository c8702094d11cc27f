use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::Result;
use super::connection::Connection;

const START_PATIENCE: Duration = Duration::from_secs(20);
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Cores for whoever is measured, and another for the load and the upstream.
pub struct Cores {
    measured: Vec<usize>,
    work: usize,
}

impl Cores {
    /// `measured` cores and one more. Where there is none left, the load shares the last of those that are measured.
    pub fn choose(measured: usize) -> Result<Self> {
        let allowed = sched_getaffinity(None).map_err(|error| format!("the cores are unknown: {error}"))?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let chosen: Vec<usize> = cores.by_ref().take(measured).collect();
        let work = cores.next().or(chosen.last().copied().filter(|_| measured > 1 && chosen.len() == measured));
        let work = work.ok_or("two cores are needed, one for the proxy and one for the load")?;
        Ok(Self { measured: chosen, work })
    }

    /// How many are measured.
    pub const fn count(&self) -> usize {
        self.measured.len()
    }

    /// Whether the load takes from what is measured.
    pub fn are_shared(&self) -> bool {
        self.measured.contains(&self.work)
    }

    /// Moves this thread, and all that it starts from now on, to the core for the load.
    pub fn work(&self) -> Result<()> {
        Self::pin(&[self.work])
    }

    /// Moves this thread to where the measured processes are.
    pub fn measured(&self) -> Result<()> {
        Self::pin(&self.measured)
    }

    fn pin(cores: &[usize]) -> Result<()> {
        let mut set = CpuSet::new();
        for core in cores {
            set.set(*core);
        }
        sched_setaffinity(None, &set).map_err(|error| format!("cores {cores:?} cannot be chosen: {error}"))
    }
}

/// A process on the measured cores, ended when this is dropped.
pub struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    pub fn start(name: &'static str, mut command: Command, cores: &Cores) -> Result<Self> {
        // A child inherits the cores of the thread that starts it.
        cores.measured()?;
        let child = command.spawn().map_err(|error| format!("{name} does not start: {error}"));
        cores.work()?;
        Ok(Self { name, child: child? })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process answers this request.
    pub fn answers(&mut self, address: SocketAddr, request: &[u8]) -> Result<()> {
        self.listens(address)?;
        let fetched = Connection::open(address).and_then(|mut connection| connection.fetch(request));
        fetched.map_err(|problem| format!("{}: {problem}", self.name))
    }

    /// Waits until somebody listens there.
    pub fn listens(&mut self, address: SocketAddr) -> Result<()> {
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{} ended instead of serving: {status}", self.name));
            }
            if begin.elapsed() > START_PATIENCE {
                return Err(format!("{} does not listen on {address}", self.name));
            }
            thread::sleep(Duration::from_micros(500));
        }
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM).map_err(|error| format!("{} cannot be stopped: {error}", self.name))?;
        }
        let begin = Instant::now();
        while begin.elapsed() < STOP_PATIENCE {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(format!("{} was asked to end and did not within {} s", self.name, STOP_PATIENCE.as_secs()))
    }

    pub fn resident_kib(&self) -> Result<u64> {
        self.status_kib("VmRSS:")
    }

    /// The most that was resident since the start, or since [`Process::forget_peak`].
    pub fn peak_kib(&self) -> Result<u64> {
        self.status_kib("VmHWM:")
    }

    pub fn forget_peak(&self) -> Result<()> {
        let path = format!("/proc/{}/clear_refs", self.child.id());
        // proc_pid_clear_refs(5): 5 sets the peak to what is resident now.
        fs::write(&path, "5").map_err(|error| format!("{path}: {error}"))
    }

    fn status_kib(&self, field: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let number = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
        number.ok_or_else(|| format!("{path} does not tell {field}"))
    }

    /// For talking to a process that was started with pipes.
    pub fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.child.stdin.take().zip(self.child.stdout.take())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, which is all that is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nanoseconds on a core, for each thread of a process: finer than the ticks that `/proc/PID/stat` counts.
pub fn cpu_time(pid: u32) -> Result<HashMap<String, u64>> {
    let folder = format!("/proc/{pid}/task");
    let mut times = HashMap::new();
    for entry in fs::read_dir(&folder).map_err(|error| format!("{folder}: {error}"))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path().join("schedstat");
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let time = text.split_whitespace().next().and_then(|time| time.parse().ok());
        times.insert(name, time.ok_or_else(|| format!("{} does not tell the time on a core", path.display()))?);
    }
    if times.values().all(|time| *time == 0) {
        return Err(format!("this kernel keeps no times in {folder}/*/schedstat"));
    }
    Ok(times)
}

/// Microseconds that this thread was on a core.
pub fn own_time() -> Result<f64> {
    let path = "/proc/thread-self/schedstat";
    // What is told was added up when somebody last looked whose turn it is.
    thread::yield_now();
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let nanoseconds: Option<f64> = text.split_whitespace().next().and_then(|time| time.parse().ok());
    nanoseconds.map(|time| time / 1000.0).ok_or_else(|| format!("{path} does not tell the time on a core"))
}

/// The threads of a process whose name begins like this.
pub fn threads_named(pid: u32, prefix: &str) -> Result<HashSet<String>> {
    let folder = format!("/proc/{pid}/task");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{folder}: {error}"))?.flatten();
    let named = entries
        .filter(|entry| fs::read_to_string(entry.path().join("comm")).is_ok_and(|name| name.starts_with(prefix)));
    Ok(named.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// What was used between two readings. A thread that ended in between is left out.
pub fn spent(before: &HashMap<String, u64>, after: &HashMap<String, u64>) -> u64 {
    after.iter().map(|(thread, time)| time.saturating_sub(before.get(thread).copied().unwrap_or(0))).sum()
}

/// An address that nobody listens on. Somebody could take it before it is used; then the run ends with an error.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map_err(|error| format!("no free port: {error}"))
}
