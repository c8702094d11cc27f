//! Whether the time of a refusal tells why it was refused.

use std::time::{Duration, Instant};

use crate::Result;
use crate::arguments::Arguments;
use crate::figures::{quantile, verdict};
use crate::harness::connection::Connection;
use crate::harness::gateway::Gateway;
use crate::people::{Kind, PASSWORD, People};
use crate::requests::{sign_in, unexpected};

/// Guesses at one user: fewer than slow the next one down.
const AT_ONE: usize = 8;
const WRONG: &str = "not the password";

struct Refusal {
    name: &'static str,
    /// Of the users, whose names have a number behind it.
    username: &'static str,
    kind: Option<Kind>,
    password: &'static str,
}

/// The second row shows what a difference means that is none.
const REFUSALS: [Refusal; 5] = [
    Refusal { name: "wrong password", username: "mistaken", kind: Some(Kind::Active), password: WRONG },
    Refusal { name: "the same again", username: "mistaken-too", kind: Some(Kind::Active), password: WRONG },
    Refusal { name: "unknown user", username: "unknown", kind: None, password: WRONG },
    Refusal { name: "disabled user", username: "disabled", kind: Some(Kind::Disabled), password: PASSWORD },
    Refusal {
        name: "wrong, second factor",
        username: "two-factor",
        kind: Some(Kind::WithSecondFactor),
        password: WRONG,
    },
];

pub async fn prepare(people: &People, arguments: &Arguments) -> Result<()> {
    for refusal in &REFUSALS {
        if let Some(kind) = refusal.kind {
            people.make(refusal.username, arguments.samples.div_ceil(AT_ONE), kind).await?;
        }
    }
    Ok(())
}

pub fn measure(gateway: &Gateway, arguments: &Arguments) -> Result<()> {
    let mut connection = Connection::open(gateway.address)?;
    let mut times: [Vec<Duration>; REFUSALS.len()] = Default::default();
    let mut seen = None;
    for sample in 0..arguments.samples {
        for turn in 0..REFUSALS.len() {
            let at = (sample + turn) % REFUSALS.len();
            let (Some(refusal), Some(times)) = (REFUSALS.get(at), times.get_mut(at)) else { continue };
            let request = sign_in(&format!("{}-{}", refusal.username, sample / AT_ONE), refusal.password, sample);
            let begin = Instant::now();
            let answer = connection.exchange(&request)?;
            times.push(begin.elapsed());
            let expected = seen.get_or_insert_with(|| answer.body.clone());
            if answer.status != 401 || answer.body != *expected {
                return Err(format!("{}: {}", refusal.name, unexpected(&answer)));
            }
        }
    }
    let mut medians = Vec::new();
    for (refusal, times) in REFUSALS.iter().zip(&mut times) {
        times.sort_unstable();
        medians.push(quantile(times, 0.5));
        println!("{:24}  median {:7.2} ms  p90 {:7.2} ms", refusal.name, quantile(times, 0.5), quantile(times, 0.9));
    }
    let (least, most) = medians.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), m| (low.min(*m), high.max(*m)));
    println!(
        "largest over smallest     {:.3}, {:.2} ms apart (aim 1.05 or 1 ms: {})",
        most / least,
        most - least,
        verdict(most / least <= 1.05 || most - least <= 1.0)
    );
    Ok(())
}
