use std::time::Duration;

use crate::Result;

const USAGE: &str = "arguments, with their defaults:
  --rounds N    turns of everything that alternates, at least 3 (7)
  --seconds N   how long each turn is measured (4)
  --rate N      proxied requests per second beside the flood (500)
  --flood N     sign-ins per second in the flood (400)
  --samples N   refusals of each kind that are timed, at least 40 (240)
  --only PART   one of rate, flood, refresh, timing";

pub struct Arguments {
    pub rounds: usize,
    pub turn: Duration,
    pub rate: usize,
    pub flood: usize,
    pub samples: usize,
    pub only: Option<String>,
}

impl Arguments {
    pub fn read(mut given: impl Iterator<Item = String>) -> Result<Self> {
        let (mut rounds, mut seconds, mut rate, mut flood, mut samples) = (7, 4, 500, 400, 240);
        let mut only = None;
        while let Some(name) = given.next() {
            let (place, range) = match name.as_str() {
                "--rounds" => (&mut rounds, 3..=1000),
                "--seconds" => (&mut seconds, 1..=600),
                "--rate" => (&mut rate, 10..=20_000),
                "--flood" => (&mut flood, 10..=20_000),
                "--samples" => (&mut samples, 40..=100_000),
                "--only" => {
                    let part = given.next().filter(|part| PARTS.contains(&part.as_str()));
                    only = Some(part.ok_or_else(|| format!("--only takes a part\n{USAGE}"))?);
                    continue;
                }
                // Cargo's own.
                "--bench" => continue,
                _ => return Err(format!("{name} is not understood\n{USAGE}")),
            };
            let value = given.next().and_then(|text| text.parse().ok()).filter(|value| range.contains(value));
            *place = value.ok_or_else(|| format!("{name} takes {} to {}\n{USAGE}", range.start(), range.end()))?;
        }
        Ok(Self { rounds, turn: Duration::from_secs(seconds as u64), rate, flood, samples, only })
    }

    pub fn wants(&self, part: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == part)
    }
}

const PARTS: [&str; 4] = ["rate", "flood", "refresh", "timing"];
