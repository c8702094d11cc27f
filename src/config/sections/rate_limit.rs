use std::time::Duration;

use crate::config::quantity::show_duration;
use crate::config::section::Section;
use crate::config::value::Value;
use crate::domain::gcra::Gcra;
use crate::domain::rate::Rate;
use crate::domain::rate_limit::RateLimit;

const REMEDY: &str = "write such as 100/second or 1000/minute burst 50: 1 to 1000000000 per second, minute or hour";
const EXAMPLE: &str = "write { rate: 100/second }";
/// A burst that takes longer to come back is no limit any more.
const LONGEST: Duration = Duration::from_secs(31 * 86_400);

/// A rate, or a mapping of one and how it is counted.
pub fn read(section: &mut Section<'_>, key: &str) -> Option<RateLimit> {
    let value = section.optional(key)?;
    if !value.is_mapping() {
        return Some(RateLimit { rate: rate(&value)?, shared: true });
    }
    let mut section = Section::of(&value);
    let rate = section.required("rate", EXAMPLE).and_then(|value| rate(&value));
    let shared = section.boolean("shared", true);
    Some(RateLimit { rate: rate?, shared })
}

fn rate(value: &Value<'_>) -> Option<Rate> {
    let text = value.text()?;
    if text.split_once('/').is_some_and(|(amount, _)| amount == "0") {
        value.fault(
            format!("{} lets nobody through", value.written()),
            "write at least 1, or remove the key for no limit",
        );
        return None;
    }
    let Ok(rate) = Rate::parse(&text) else {
        value.fault(format!("{} is not a rate", value.written()), REMEDY);
        return None;
    };
    let whole = Gcra::new(rate).tolerance();
    if whole > LONGEST {
        let problem = format!(
            "{} limits nothing: its burst takes longer than {} to come back",
            value.written(),
            show_duration(LONGEST)
        );
        value.fault(problem, "lower the burst");
        return None;
    }
    Some(rate)
}
