use crate::Result;

const USAGE: &str = "arguments, with their defaults:
  --rounds N       bursts of each subject, at least 5 (41)
  --requests N     requests in a burst (5000)
  --connections N  kept open by the load in a burst (32)
  --rate N         requests per second while latency is measured (1000)
  --bare-only      leave Portcullis out: how much a run differs from itself";

pub struct Arguments {
    pub rounds: usize,
    pub requests: usize,
    pub connections: usize,
    pub rate: usize,
    pub bare_only: bool,
}

impl Arguments {
    pub fn read(mut given: impl Iterator<Item = String>) -> Result<Self> {
        let mut arguments = Self { rounds: 41, requests: 5000, connections: 32, rate: 1000, bare_only: false };
        while let Some(name) = given.next() {
            let (place, range) = match name.as_str() {
                "--rounds" => (&mut arguments.rounds, 5..=1000),
                "--requests" => (&mut arguments.requests, 1000..=10_000_000),
                "--connections" => (&mut arguments.connections, 1..=256),
                "--rate" => (&mut arguments.rate, 10..=20_000),
                "--bare-only" => {
                    arguments.bare_only = true;
                    continue;
                }
                // Cargo's own.
                "--bench" => continue,
                _ => return Err(format!("{name} is not understood\n{USAGE}")),
            };
            let value = given.next().and_then(|text| text.parse().ok()).filter(|value| range.contains(value));
            *place = value.ok_or_else(|| format!("{name} takes {} to {}\n{USAGE}", range.start(), range.end()))?;
        }
        Ok(arguments)
    }

    /// Every connection sends the same number, so a burst is a multiple of them.
    pub fn requests_in_burst(&self) -> usize {
        self.requests.div_ceil(self.connections) * self.connections
    }
}
