use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Result;
use super::process::free_address;

const START_PATIENCE: Duration = Duration::from_secs(10);

/// A Redis with nothing in it, killed when dropped. It runs where whoever starts it does.
pub struct Redis {
    child: Child,
    address: SocketAddr,
}

impl Redis {
    pub fn start() -> Result<Self> {
        let address = free_address()?;
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string(), "--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("redis-server: {error}"))?;
        let redis = Self { child, address };
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begin.elapsed() > START_PATIENCE {
                return Err(format!("redis-server does not listen on {address}"));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(redis)
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already, which is all that is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
