use crate::Result;

const USAGE: &str = "arguments, with their defaults:
  --rounds N       bursts of each row of `request`, at least 5, and of the other sections a third (31)
  --requests N     requests in a burst (5000)
  --connections N  kept open by the load in a burst (32)
  --rate N         requests per second while latency is measured (1000)
  --only PART      only rows that have this in `SECTION: ROW`, and what they are compared with; may be given again.
                   Sections: request, first sight, keys, routes, idle";

pub struct Arguments {
    pub rounds: usize,
    pub requests: usize,
    pub connections: usize,
    pub rate: usize,
    only: Vec<String>,
}

impl Arguments {
    pub fn read(mut given: impl Iterator<Item = String>) -> Result<Self> {
        let mut arguments = Self { rounds: 31, requests: 5000, connections: 32, rate: 1000, only: Vec::new() };
        while let Some(name) = given.next() {
            let (place, range) = match name.as_str() {
                "--rounds" => (&mut arguments.rounds, 5..=1000),
                "--requests" => (&mut arguments.requests, 1000..=10_000_000),
                "--connections" => (&mut arguments.connections, 1..=256),
                "--rate" => (&mut arguments.rate, 10..=20_000),
                "--only" => {
                    let part = given.next().ok_or_else(|| format!("--only takes a part of a name\n{USAGE}"))?;
                    arguments.only.push(part.to_lowercase());
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

    pub fn wants(&self, section: &str, row: &str) -> bool {
        let name = format!("{section}: {row}").to_lowercase();
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part))
    }

    /// Rounds of whatever is not the main table.
    pub fn fewer_rounds(&self) -> usize {
        self.rounds.div_ceil(3).max(5)
    }
}
