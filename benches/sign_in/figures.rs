use std::time::Duration;

pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// In milliseconds; the times are sorted.
pub fn quantile(sorted: &[Duration], share: f64) -> f64 {
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index).or(sorted.last()).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

/// What a ratio or a count is held against.
pub fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}
